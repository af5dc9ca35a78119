"""The host's end of the port, with a machine that is only lines."""

import base64
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from osloom.base.errors import BuildError
from osloom.run.agent import Agent, Answer, RebootError

Machine = Callable[[BinaryIO], None]


class _EndError(Exception):
    """The machine ends."""


@pytest.fixture
def reach(tmp_path: Path) -> Iterator[Callable[[Machine], Agent]]:
    """Gives an agent that talks with a machine."""
    threads = []
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "port"))
    server.listen()

    def start(machine: Machine) -> Agent:
        def serve() -> None:
            connection, _ = server.accept()
            opened = connection.makefile("rwb", buffering=0)
            with contextlib.suppress(_EndError), connection, opened as port:
                machine(port)  # type: ignore[arg-type]
                port.read()

        threads.append(threading.Thread(target=serve, daemon=True))
        threads[0].start()
        return Agent(tmp_path / "port", is_alive=lambda: True)

    yield start
    server.close()


def _command(port: BinaryIO) -> list[str]:
    boot, number, seconds, text = port.readline().decode().split()
    return [boot, number, seconds, base64.b64decode(text).decode()]


def test_a_command_and_its_answer_are_of_one_boot(reach: Callable[[Machine], Agent]) -> None:
    def machine(port: BinaryIO) -> None:
        port.write(b"\nosloom-up one running\n")
        assert _command(port) == ["one", "1", "5", "echo hello"]
        port.write(b"zero 1 1  .\none 0 1  .\none 1 0 aGVsbG8= .\n")

    agent = reach(machine)
    assert (agent.wait(5), agent.boot) == ("running", "one")
    assert agent.run("echo hello", timeout=5) == Answer(status=0, output="hello")


def test_another_boot_in_the_place_of_an_answer_is_said(
    reach: Callable[[Machine], Agent],
) -> None:
    def machine(port: BinaryIO) -> None:
        port.write(b"\nosloom-up one running\n")
        _command(port)
        port.write(b"one 1 0 aGV\nosloom-up two degraded\n")
        assert _command(port)[0] == "two"
        port.write(b"two 2 7  .\n")

    agent = reach(machine)
    agent.wait(5)
    with pytest.raises(RebootError):
        agent.run("echo hello", timeout=5)
    assert (agent.wait(5), agent.boot) == ("degraded", "two")
    assert agent.run("exit 7", timeout=5) == Answer(status=7, output="")


def test_a_reboot_is_over_when_another_boot_is_up(reach: Callable[[Machine], Agent]) -> None:
    def machine(port: BinaryIO) -> None:
        port.write(b"\nosloom-up one running\n")
        _command(port)
        port.write(b"one 1 0  .\nosloom-up one running\n\nosloom-up two running\n")

    agent = reach(machine)
    agent.wait(5)
    assert (agent.reboot(5), agent.boot) == ("running", "two")


def test_a_machine_that_has_ended_is_said(reach: Callable[[Machine], Agent]) -> None:
    def machine(port: BinaryIO) -> None:
        port.write(b"\nosloom-up one running\n")
        raise _EndError

    agent = reach(machine)
    agent.wait(5)
    for _ in range(2):
        with pytest.raises(BuildError, match="it ended before it answered"):
            agent.run("true", timeout=5)
