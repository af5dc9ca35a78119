"""Keep a program from typing on the terminal that it was lent.

TIOCSTI puts bytes into a terminal's input as if they had been typed there, TIOCLINUX pastes on a
console: what is left there when the program has ended, the caller's shell would run. Kernels may
refuse both by themselves (`dev.tty.legacy_tiocsti`); a filter of system calls does so on all,
seccomp(2).
"""

import contextlib
import errno
import platform
from collections.abc import Sequence

from osloom.engine.seccomp import (
    ALLOW,
    AND,
    ARCHITECTURE,
    ARCHITECTURES,
    FAIL,
    IF_EQUAL,
    LOAD,
    NUMBER,
    RETURN,
    SECOND_ARGUMENT,
    Row,
    opened,
)

_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_IOCTL = {"x86_64": 16, "aarch64": 29}


def terminal_filter(machine: str) -> Sequence[Row]:
    return [
        Row(LOAD, 0, 0, ARCHITECTURE),
        # Calls of another architecture have other numbers: there are none in an image of ours.
        Row(IF_EQUAL, 1, 0, ARCHITECTURES[machine]),
        Row(RETURN, 0, 0, FAIL | errno.ENOSYS),
        Row(LOAD, 0, 0, NUMBER),
        # Without the mark of x32.
        Row(AND, 0, 0, 0xBFFFFFFF),
        Row(IF_EQUAL, 0, 4, _IOCTL[machine]),
        Row(LOAD, 0, 0, SECOND_ARGUMENT),
        Row(IF_EQUAL, 1, 0, _TIOCSTI),
        Row(IF_EQUAL, 0, 1, _TIOCLINUX),
        Row(RETURN, 0, 0, FAIL | errno.EPERM),
        Row(RETURN, 0, 0, ALLOW),
    ]


def no_typing() -> contextlib.AbstractContextManager[int]:
    """A file descriptor of this machine's filter."""
    return opened(terminal_filter(platform.machine()))
