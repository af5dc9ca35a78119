"""Somebody who sits before the serial console of a machine, and types the passphrase it asks for."""

import contextlib
import re
import socket
from pathlib import Path

_LOG, _SOCKET = "console.log", "console"
_QUESTION = re.compile(rb"(?:Choose a passphrase|Please enter passphrase)[^\r\n]*")


class Keyboard:
    """Of the machine whose working directory is `work`; it has `console_socket`."""

    def __init__(self, work: Path, passphrase: str) -> None:
        self._work = work
        self._passphrase = passphrase
        self._place = 0
        self._socket: socket.socket | None = None
        self.mistakes: list[str] = []
        """What is typed first, in the place of the passphrase."""
        self.asked: list[str] = []
        """The questions up to now."""

    def attend(self) -> None:
        """Answer what was asked since; to be called every second or so."""
        if self._socket is not None:
            # Not at once: QEMU forgets what the machine has not read yet.
            self._socket.close()
            self._socket = None
        with contextlib.suppress(FileNotFoundError), (self._work / _LOG).open("rb") as log:
            log.seek(self._place)
            found = _QUESTION.search(log.read())
            if found is not None and self._type(self.mistakes or [self._passphrase]):
                self._place += found.end()
                self.asked.append(found[0].decode(errors="replace"))

    def _type(self, lines: list[str]) -> bool:
        """The first of `lines`, which is taken away; whether there is a console to type at."""
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(self._work / _SOCKET))
            connection.sendall(f"{lines.pop(0)}\n".encode())
        except OSError:
            connection.close()
            return False
        self._socket = connection
        return True
