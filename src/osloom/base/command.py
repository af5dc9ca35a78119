"""Run programs to their end, the same way everywhere.

Every command gets an explicit environment, no standard input unless one is given, and the C
locale, so that what it does depends on its arguments alone. Both streams go to files: two pipes
read by hand deadlock or lose the last line.
"""

import contextlib
import fcntl
import os
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from osloom.base.errors import CommandError

FIXED = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"}
"""What every command has in its environment."""
TIMED_OUT = 124

_TAIL = 2000
_PIPE = 1 << 20
"""Bytes."""


class Completed(msgspec.Struct, frozen=True, kw_only=True):
    stdout: bytes
    stderr: bytes
    status: int


def run(  # noqa: PLR0913  (as many as a process has)
    argv: Sequence[str | os.PathLike[str]],
    *,
    environment: Mapping[str, str] | None = None,
    stdin: Iterable[bytes] | None = None,
    stdout: BinaryIO | None = None,
    stderr: BinaryIO | None = None,
    timeout: float | None = None,
    descriptors: Sequence[int] = (),
    check: bool = True,
) -> Completed:
    """Run `argv` to its end.

    `stdin` is fed chunk by chunk; `stdout` and `stderr` take the output instead of the result;
    `descriptors` stay open in the program.
    After `timeout` seconds the program is killed and its status is 124, as timeout(1) says it.
    Raises CommandError with the end of what the program said when it fails and `check` is set.
    """
    arguments = [os.fspath(word) for word in argv]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        try:
            process = subprocess.Popen(
                arguments,
                env={**FIXED, **(environment or {})},
                stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
                stdout=stdout or out,
                stderr=stderr or err,
                pass_fds=descriptors,
            )
        except FileNotFoundError as error:
            raise CommandError(f"cannot find `{arguments[0]}`") from error
        except OSError as error:
            raise CommandError(f"cannot start `{arguments[0]}`: {error.strerror}") from error
        try:
            if stdin is not None:
                _feed(process, stdin)
            status = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            status = TIMED_OUT
        except BaseException:
            process.send_signal(signal.SIGKILL)
            process.wait()
            raise
        out.seek(0)
        err.seek(0)
        completed = Completed(stdout=out.read(), stderr=err.read(), status=status)
    if check and status != 0:
        raise failure(arguments, completed)
    return completed


def _feed(process: "subprocess.Popen[bytes]", chunks: Iterable[bytes]) -> None:
    assert process.stdin is not None
    # Room for both sides to work at once; more than the user's limit is refused, pipe(7).
    with contextlib.suppress(OSError):
        fcntl.fcntl(process.stdin, fcntl.F_SETPIPE_SZ, _PIPE)
    try:
        for chunk in chunks:
            process.stdin.write(chunk)
        process.stdin.close()
    except BrokenPipeError:
        # The program's own message and status say why it stopped reading.
        pass


def failure(arguments: Sequence[str], completed: Completed) -> CommandError:
    name = Path(arguments[0]).name
    said = (completed.stderr or completed.stdout).decode(errors="replace").strip()
    how = (
        f"was killed by {signal.Signals(-completed.status).name}"
        if completed.status < 0
        else f"exited with status {completed.status}"
    )
    return CommandError(
        f"`{name}` {how}",
        detail=said[-_TAIL:],
        hint=f"the command was: {shlex.join(arguments)}"[:_TAIL],
    )
