"""What a machine asks at its console is answered, in the order in which it asks."""

import socket
from pathlib import Path

from osloom.run.keyboard import Keyboard


def test_every_question_is_answered_once(tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    with socket.socket(socket.AF_UNIX) as console:
        console.bind(str(tmp_path / "console"))
        console.listen()
        console.settimeout(5)
        keyboard = Keyboard(tmp_path, "the right one")
        keyboard.attend()
        log.write_bytes(b"[ 1.0] boot\r\nChoose a passphrase for data: ")
        typed = []
        for said in (b"", b"\r\n[ 2.0] and on\r\n", b"Please enter passphrase for disk data: "):
            with log.open("ab") as file:
                file.write(said)
            if b"enter" in said:
                keyboard.mistakes = ["a wrong one"]
            before = len(keyboard.asked)
            keyboard.attend()
            if len(keyboard.asked) > before:
                connection, _ = console.accept()
                with connection:
                    typed.append(connection.recv(100))
        with log.open("ab") as file:
            file.write(b"\r\nPlease enter passphrase for disk data: ")
        keyboard.attend()
        connection, _ = console.accept()
        with connection:
            typed.append(connection.recv(100))
        keyboard.attend()
    assert typed == [b"the right one\n", b"a wrong one\n", b"the right one\n"]
    assert [one.split()[0] for one in keyboard.asked] == ["Choose", "Please", "Please"]


def test_without_a_console_nothing_is_lost(tmp_path: Path) -> None:
    (tmp_path / "console.log").write_bytes(b"Choose a passphrase for data: ")
    keyboard = Keyboard(tmp_path, "x")
    keyboard.attend()
    assert keyboard.asked == []
