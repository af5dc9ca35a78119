"""How a boot test reaches into a machine: nothing is put into the image for it (`run.service`).

A service starts after the default target, says so on a virtio port, and then runs what it is sent
there: one line of base64 a command in, one line with its exit status and its output out.
"""

import base64
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from osloom.base.errors import BuildError
from osloom.run.machine import TEST_PORT
from osloom.run.service import service_credentials

_UP = "osloom-up"
_COMMAND = "/run/osloom-test.command"

_SCRIPT = f"""\
exec 3<>/dev/virtio-ports/{TEST_PORT}
state=$(systemctl is-system-running --wait)
echo "{_UP} $state" >&3
while read -r number seconds command <&3; do
    echo "$command" | base64 -d >{_COMMAND}
    output=$(timeout --kill-after=5 "$seconds" sh -e {_COMMAND} 2>&1 </dev/null)
    status=$?
    echo "$number $status $(printf %s "$output" | tail -c 65536 | base64 -w 0)" >&3
done
"""

_UNIT = """\
[Unit]
Description=osloom boot test
After=default.target multi-user.target

[Service]
Type=exec
Environment=HOME=/root
"""


def credentials() -> Mapping[str, str]:
    return service_credentials("osloom-test", unit=_UNIT, script=_SCRIPT)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    status: int
    output: str


class Agent:
    """The host's end of the port."""

    def __init__(self, path: Path, *, is_alive: Callable[[], bool]) -> None:
        self._path = path
        self._is_alive = is_alive
        self._socket: socket.socket | None = None
        self._buffer = b""
        self._count = 0

    def wait(self, timeout: float) -> str:
        """Until the machine is up; gives its state as `systemctl is-system-running` says it."""
        deadline = time.monotonic() + timeout
        self._connect(deadline)
        while True:
            line = self._line(deadline)
            if line.startswith(_UP):
                return line.removeprefix(_UP).strip()

    def run(self, command: str, *, timeout: int) -> Answer:
        """Run shell text in the machine; 124 is the status of one that ran out of time."""
        assert self._socket is not None
        self._count += 1
        encoded = base64.b64encode(command.encode()).decode()
        self._socket.sendall(f"{self._count} {timeout} {encoded}\n".encode())
        # Some seconds more than the machine's own limit: under emulation it is slow to answer.
        deadline = time.monotonic() + timeout + 60
        while True:
            number, _, rest = self._line(deadline).partition(" ")
            if number == str(self._count):
                status, _, output = rest.partition(" ")
                text = base64.b64decode(output).decode(errors="replace")
                return Answer(status=int(status), output=text)

    def _connect(self, deadline: float) -> None:
        while True:
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(str(self._path))
            except OSError:
                connection.close()
                self._check(deadline)
                time.sleep(0.1)
                continue
            self._socket = connection
            return

    def _line(self, deadline: float) -> str:
        assert self._socket is not None
        while b"\n" not in self._buffer:
            self._check(deadline)
            self._socket.settimeout(1)
            try:
                data = self._socket.recv(65536)
            except TimeoutError:
                continue
            if not data:
                raise BuildError("cannot reach the machine: it ended before it answered")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode(errors="replace").strip()

    def _check(self, deadline: float) -> None:
        if not self._is_alive():
            raise BuildError("cannot reach the machine: it ended before it answered")
        if time.monotonic() > deadline:
            raise BuildError("cannot reach the machine: it did not answer in time")
