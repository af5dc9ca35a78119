"""Run a program in the foreground: its streams are this process's own.

The program leads a process group. If this process has the terminal, the group gets it for as long
as it runs, as a job of a shell does: what is typed there (Ctrl-C, Ctrl-Z) is for the group alone.
What is sent to this process (kill(1), a service manager's stop) is passed on to the group.
"""

import contextlib
import fcntl
import os
import signal
import sys
import termios
from collections.abc import Mapping

PASSED_ON = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
_STREAMS = (0, 1, 2)


def run_in_foreground(argv: list[str], *, environment: Mapping[str, str]) -> int:
    """Run `argv` to its end; gives its exit status, 128 and the number for one that a signal ended.

    This process must have one thread: signals are waited for, there are no handlers.
    """
    sys.stdout.flush()
    # Giving the terminal away and taking it back would stop this process: SIGTTOU.
    blocked = {*PASSED_ON, signal.SIGCHLD, signal.SIGTTOU}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
    try:
        if not has_terminal():
            # A session of its own: there is no terminal that it could reach for.
            child = os.posix_spawn(argv[0], argv, environment, setsid=True, setsigmask=())
            return _wait(child, None)
        with _Terminal() as terminal:
            child = os.posix_spawn(argv[0], argv, environment, setpgroup=0, setsigmask=())
            terminal.lend(child)
            return _wait(child, terminal)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def has_terminal() -> bool:
    """Whether standard input is a terminal, and this process is not in its background."""
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False


class _Terminal:
    """The terminal of standard input, lent to a process group for as long as the block lasts."""

    def __init__(self) -> None:
        self._modes = termios.tcgetattr(0)
        self._flags = [fcntl.fcntl(number, fcntl.F_GETFL) for number in _STREAMS]

    def __enter__(self) -> "_Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        self.take_back()

    def lend(self, group: int) -> None:
        os.tcsetpgrp(0, group)

    def take_back(self) -> None:
        os.tcsetpgrp(0, os.getpgrp())
        # The program may have ended in the middle of modes of its own.
        termios.tcsetattr(0, termios.TCSADRAIN, self._modes)
        # These are the open file's: the shell would find its own input non-blocking.
        for number, flags in zip(_STREAMS, self._flags, strict=True):
            fcntl.fcntl(number, fcntl.F_SETFL, flags)


def _wait(child: int, terminal: _Terminal | None) -> int:
    while True:
        number = signal.sigwait({*PASSED_ON, signal.SIGCHLD})
        if number != signal.SIGCHLD:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, number)
            continue
        ended, status = os.waitpid(child, os.WNOHANG | os.WUNTRACED)
        if ended and os.WIFSTOPPED(status):
            if terminal is not None:
                _stop(child, terminal)
        elif ended:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _stop(child: int, terminal: _Terminal) -> None:
    """Stop with the child, so that the shell hears of it; go on with it when the shell says so."""
    terminal.take_back()
    os.killpg(os.getpgrp(), signal.SIGTSTP)
    terminal.lend(child)
    os.killpg(child, signal.SIGCONT)
