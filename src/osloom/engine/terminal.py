"""Keep a program from typing on the terminal that it was lent.

TIOCSTI puts bytes into a terminal's input as if they had been typed there, TIOCLINUX pastes on a
console: what is left there when the program has ended, the caller's shell would run. Kernels may
refuse both by themselves (`dev.tty.legacy_tiocsti`); a filter of system calls does so on all,
seccomp(2).
"""

import errno
import os
import platform
import struct

_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C

_CALLS = {"x86_64": (0xC000003E, 16), "aarch64": (0xC00000B7, 29)}
"""AUDIT_ARCH_* and the number of ioctl(2) of each machine."""

_LOAD, _AND, _IS, _RETURN = 0x20, 0x54, 0x15, 0x06
_ALLOW, _FAIL = 0x7FFF0000, 0x00050000
_NUMBER, _ARCHITECTURE, _SECOND = 0, 4, 24
"""Where struct seccomp_data has them; of the argument its lower half, as the kernel reads it."""


def terminal_filter(machine: str) -> bytes:
    """The filter as an array of struct sock_filter: code, skip if true, skip if false, value."""
    architecture, ioctl = _CALLS[machine]
    program = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        # Calls of another architecture have other numbers: there are none in an image of ours.
        (_IS, 1, 0, architecture),
        (_RETURN, 0, 0, _FAIL | errno.ENOSYS),
        (_LOAD, 0, 0, _NUMBER),
        # Without the mark of x32.
        (_AND, 0, 0, 0xBFFFFFFF),
        (_IS, 0, 4, ioctl),
        (_LOAD, 0, 0, _SECOND),
        (_IS, 1, 0, _TIOCSTI),
        (_IS, 0, 1, _TIOCLINUX),
        (_RETURN, 0, 0, _FAIL | errno.EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("=HBBI", *line) for line in program)


def open_terminal_filter() -> int:
    """A file descriptor that bubblewrap can read the filter of this machine from."""
    handle = os.memfd_create("filter", 0)
    os.write(handle, terminal_filter(platform.machine()))
    os.lseek(handle, 0, os.SEEK_SET)
    return handle
