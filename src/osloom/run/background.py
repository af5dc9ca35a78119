"""A confined program in the background."""

import contextlib
import select
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

_GONE_TIMEOUT = 60_000
"""Milliseconds; a kill is over in a few, unless the disk hangs."""


class Background:
    """A program of the tools image that `Tools.argv` made the command of."""

    def __init__(self, argv: Sequence[str], log: Path) -> None:
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=file, stderr=file, start_new_session=True
            )

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """End it at once, as a power cut does; nothing of it is left when this returns.

        bubblewrap dies first, and the kernel then kills what it confined: only that nobody has
        the pipe any more shows that files are closed and their locks gone.
        """
        self._process.kill()
        self._process.wait()
        assert self._process.stdin is not None
        if not self._process.stdin.closed:
            ended = select.poll()
            ended.register(self._process.stdin, 0)
            ended.poll(_GONE_TIMEOUT)
            self._process.stdin.close()


@contextlib.contextmanager
def in_background(argv: Sequence[str], log: Path) -> Iterator[Background]:
    """A program that runs while the block does; what it says is added to `log`."""
    program = Background(argv, log)
    try:
        yield program
    finally:
        program.kill()
