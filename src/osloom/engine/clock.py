"""Another day's clock, for the second build of `osloom verify`.

`OSLOOM_CLOCK=400` in the environment of osloom's processes moves the clock 400 days ahead: for
programs of the tools image and in the sandbox by libfaketime, faketime(1), which each of the two
has of its own suite, and for osloom's workers in Python. It is part of no step and of no key: it is
there to show that no output depends on the clock.

The kernel's clock stays: the times of new files are of today. So does the clock of static programs
and of those with more rights than their caller, ld.so(8), which take no library from outside.
"""

import os
import time
from pathlib import Path

VARIABLE = "OSLOOM_CLOCK"
_STATELESS = "FAKETIME_DISABLE_SHM"
_DAY = 86400


def inherited() -> dict[str, str]:
    """What a process of osloom needs in its environment to have the clock of this one."""
    return {VARIABLE: os.environ[VARIABLE]} if os.environ.get(VARIABLE) else {}


def environment(tree: Path, seen_at: str = "") -> dict[str, str]:
    """What moves the clock of a program that sees `tree`, with libfaketime in it, at `seen_at`."""
    days = os.environ.get(VARIABLE)
    if not days:
        return {}
    library = _library(tree)
    return {
        "LD_PRELOAD": f"{seen_at}/{library.relative_to(tree)}",
        "FAKETIME": f"+{days}d",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        _STATELESS: "1",
        # Times of files are the same on every day, but for those of files that are new.
        "NO_FAKE_STAT": "1",
        "FAKE_UTIME": "0",
    }


def mounts(tree: Path) -> list[str]:
    """What bubblewrap has to mount for the libfaketime of `tree`.

    Before trixie it always shares memory between processes, and ends those that have changed their
    user since; without a place to make it in it does without.
    """
    if not os.environ.get(VARIABLE) or _STATELESS.encode() in _library(tree).read_bytes():
        return []
    return ["--tmpfs", "/dev/shm", "--remount-ro", "/dev/shm"]


def _library(tree: Path) -> Path:
    (library,) = tree.glob("usr/lib/*/faketime/libfaketime.so.1")
    return library


def move() -> None:
    """Move the clock that this process's Python code sees; the libraries of C see today's."""
    ahead = int(os.environ.get(VARIABLE) or 0) * _DAY
    if ahead:
        seconds, nanoseconds = time.time, time.time_ns  # noqa: TID251  (to replace them)
        time.time = lambda: seconds() + ahead  # noqa: TID251
        time.time_ns = lambda: nanoseconds() + ahead * 10**9
