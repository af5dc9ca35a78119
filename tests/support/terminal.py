"""A terminal with an interactive shell in it."""

import fcntl
import os
import pty
import select
import struct
import termios
import time
from pathlib import Path

from support.cli import environment


class Terminal:
    """See the module. Its shell is in `directory`, and its osloom has the store `store`."""

    def __init__(self, directory: Path, store: Path) -> None:
        self._said = ""
        self._process, self._own = pty.fork()
        if self._process == 0:
            os.chdir(directory)
            given = environment(OSLOOM_STORE=str(store), TERM="vt100", PS1="shell> ")
            os.execve("/bin/sh", ["sh", "-i"], given)

    def type(self, text: str) -> None:
        os.write(self._own, text.encode())

    def wait_for(self, text: str, *, timeout: float = 60) -> None:
        """Until it says `text` after what was waited for before; in seconds."""
        deadline = time.monotonic() + timeout
        while text not in self._said:
            ready, _, _ = select.select([self._own], [], [], max(deadline - time.monotonic(), 0))
            assert ready, self._said
            self._said += os.read(self._own, 4096).decode(errors="replace")
        self._said = self._said.partition(text)[2]

    def resize(self, *, rows: int, columns: int) -> None:
        fcntl.ioctl(self._own, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def close(self) -> None:
        os.close(self._own)
        os.waitpid(self._process, 0)
