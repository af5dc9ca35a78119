"""A filter of system calls under which waiting for a disk succeeds at once.

What a step makes is kept or forgotten as a whole: a program that syncs its files gains nothing, and
waits for everything that others are writing.
"""

import contextlib
import platform
from collections.abc import Sequence

from osloom.engine.seccomp import (
    ALLOW,
    ARCHITECTURE,
    ARCHITECTURES,
    FAIL,
    IF_EQUAL,
    LOAD,
    NUMBER,
    RETURN,
    Row,
    opened,
)

_CALLS = {
    "x86_64": (26, 74, 75, 162, 277, 306),
    "aarch64": (81, 82, 83, 84, 227, 267),
}
"""The numbers of fsync, fdatasync, msync, sync, sync_file_range and syncfs."""


def sync_filter(machine: str) -> Sequence[Row]:
    """For `machine`; it allows all on one that it does not know."""
    calls = _CALLS.get(machine, ())
    return [
        Row(LOAD, 0, 0, ARCHITECTURE),
        Row(IF_EQUAL, 0, len(calls) + 1, ARCHITECTURES.get(machine, 0)),
        Row(LOAD, 0, 0, NUMBER),
        *(Row(IF_EQUAL, len(calls) - place, 0, call) for place, call in enumerate(calls)),
        Row(RETURN, 0, 0, ALLOW),
        Row(RETURN, 0, 0, FAIL),
    ]


def no_sync() -> contextlib.AbstractContextManager[int]:
    """A file descriptor of this machine's filter."""
    return opened(sync_filter(platform.machine()))
