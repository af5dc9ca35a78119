"""A seccomp filter under which waiting for a disk succeeds at once, seccomp(2).

What a step makes is kept or forgotten as a whole: a program that syncs its files gains nothing, and
waits for everything that others are writing.
"""

import contextlib
import os
import platform
import struct
from collections.abc import Iterator

_SYSTEMS = {
    "x86_64": (0xC000003E, (26, 74, 75, 162, 277, 306)),
    "aarch64": (0xC00000B7, (81, 82, 83, 84, 227, 267)),
}
"""AUDIT_ARCH_*, and the numbers of fsync, fdatasync, msync, sync, sync_file_range and syncfs."""

_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_NUMBER, _ARCHITECTURE = 0, 4
"""Offsets in struct seccomp_data."""
_ALLOW, _SAY_OK = 0x7FFF0000, 0x00050000


def program(machine: str) -> bytes:
    """The filter as an array of struct sock_filter; it allows all on an unknown `machine`."""
    architecture, calls = _SYSTEMS.get(machine, (0, ()))
    rows = [(_LOAD, 0, 0, _ARCHITECTURE), (_JUMP_IF_EQUAL, 0, len(calls) + 1, architecture)]
    rows += [(_LOAD, 0, 0, _NUMBER)]
    rows += [(_JUMP_IF_EQUAL, len(calls) - place, 0, call) for place, call in enumerate(calls)]
    rows += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _SAY_OK)]
    return b"".join(struct.pack("=HBBI", *row) for row in rows)


@contextlib.contextmanager
def no_sync() -> Iterator[int]:
    """A file descriptor of the filter, for `bwrap --seccomp`."""
    read, write = os.pipe()
    os.write(write, program(platform.machine()))
    os.close(write)
    try:
        yield read
    finally:
        os.close(read)
