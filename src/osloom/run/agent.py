"""How a boot test reaches into a machine: nothing is put into the image for it (`run.service`).

A service starts after the default target, says so on a virtio port, and then runs what it is sent
there: one line of base64 a command in, one line with its exit status and its output out. Every line
names the boot it is of: a machine can be reset while one is half written or not yet read.
"""

import base64
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from osloom.base.errors import BuildError
from osloom.run.machine import TEST_PORT
from osloom.run.service import service_credentials

_UP = "osloom-up"
_COMMAND = "/run/osloom-test.command"
_ENDED = "cannot reach the machine: it ended before it answered"
_PATIENCE = 60
"""Seconds more than the machine's own limit: under emulation it is slow to answer."""

_SCRIPT = f"""\
exec 3<>/dev/virtio-ports/{TEST_PORT}
read -r boot </proc/sys/kernel/random/boot_id
state=$(systemctl is-system-running --wait)
# What the boot before did not end stays a line of its own.
printf '\\n%s %s %s\\n' {_UP} "$boot" "$state" >&3
while read -r meant number seconds command <&3; do
    test "$meant" = "$boot" || continue
    echo "$command" | base64 -d >{_COMMAND}
    output=$(timeout --kill-after=5 "$seconds" sh -e {_COMMAND} 2>&1 </dev/null)
    status=$?
    echo "$boot $number $status $(printf %s "$output" | tail -c 65536 | base64 -w 0) ." >&3
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


def credentials(*, masked: Sequence[str] = ()) -> Mapping[str, str]:
    """What starts it; the units `masked` do not start."""
    return service_credentials("osloom-test", unit=_UNIT, script=_SCRIPT, masked=masked)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    status: int
    output: str


class RebootError(BuildError):
    """A command has no answer: the machine was up in another boot meanwhile."""


class Agent:
    """The host's end of the port, over all boots of one start of a machine."""

    def __init__(self, path: Path, *, is_alive: Callable[[], bool]) -> None:
        self._path = path
        self._is_alive = is_alive
        self._socket: socket.socket | None = None
        self._buffer = b""
        self._count = 0
        self._state: str | None = None
        self.boot = ""
        """Its boot id, random(4); empty before it was up."""

    def wait(self, timeout: float) -> str:
        """Until the machine is up, after the first time: up in a boot that was not seen before.

        Gives its state as `systemctl is-system-running` says it.
        """
        deadline = time.monotonic() + timeout
        if self._socket is None:
            self._connect(deadline)
        while self._state is None:
            self._hear(self._line(deadline))
        state, self._state = self._state, None
        return state

    def run(self, command: str, *, timeout: int) -> Answer:
        """Run shell text in the machine; 124 is the status of one that ran out of time.

        Raises RebootError when the machine comes up anew in the place of an answer; `wait` then gives
        the state of that boot at once. Raises BuildError when it ended.
        """
        deadline = time.monotonic() + timeout + _PATIENCE
        self._send(command, timeout)
        while True:
            line = self._line(deadline)
            if self._hear(line):
                raise RebootError("cannot run a command in the machine: it rebooted meanwhile")
            match line.split(" "):
                # The point is not there when the machine was reset while it wrote the line.
                case [self.boot, number, status, output, "."] if number == str(self._count):
                    text = base64.b64decode(output).decode(errors="replace")
                    return Answer(status=int(status), output=text)

    def reboot(self, timeout: float, command: str = "systemctl --no-block reboot") -> str:
        """Run what reboots the machine, and wait until it is up again; gives its state."""
        self._send(command, _PATIENCE)
        return self.wait(timeout)

    def _send(self, command: str, timeout: int) -> None:
        assert self._socket is not None
        self._count, self._state = self._count + 1, None
        encoded = base64.b64encode(command.encode()).decode()
        try:
            self._socket.sendall(f"{self.boot} {self._count} {timeout} {encoded}\n".encode())
        except OSError as error:
            raise BuildError(_ENDED) from error

    def _hear(self, line: str) -> bool:
        """Whether it tells of another boot, which is taken note of."""
        match line.split(" "):
            case [said, boot, *state] if said == _UP and boot != self.boot:
                self.boot, self._state = boot, " ".join(state)
                return True
        return False

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
            except OSError:
                data = b""
            if not data:
                raise BuildError(_ENDED)
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode(errors="replace").strip()

    def _check(self, deadline: float) -> None:
        if not self._is_alive():
            raise BuildError(_ENDED)
        if time.monotonic() > deadline:
            raise BuildError("cannot reach the machine: it did not answer in time")
