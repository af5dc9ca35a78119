"""Filters of system calls as bubblewrap takes them, seccomp(2): classic BPF over seccomp_data."""

import contextlib
import os
import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

LOAD, AND, IF_EQUAL, RETURN = 0x20, 0x54, 0x15, 0x06
NUMBER, ARCHITECTURE, SECOND_ARGUMENT = 0, 4, 24
"""Where seccomp_data has them; of the argument its lower half, as the kernel reads it."""
ALLOW, FAIL = 0x7FFF0000, 0x00050000
"""What a filter returns; FAIL with an error number, of which 0 is success."""
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""AUDIT_ARCH_*"""


class Row(NamedTuple):
    """struct sock_filter."""

    code: int
    then: int
    otherwise: int
    value: int


def packed(rows: Sequence[Row]) -> bytes:
    return b"".join(struct.pack("=HBBI", *row) for row in rows)


@contextlib.contextmanager
def opened(filter_: Sequence[Row]) -> Iterator[int]:
    """A file descriptor of the filter, for `bwrap --seccomp`."""
    handle = os.memfd_create("filter")
    try:
        os.write(handle, packed(filter_))
        os.lseek(handle, 0, os.SEEK_SET)
        yield handle
    finally:
        os.close(handle)
