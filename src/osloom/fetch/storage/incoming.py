"""Places in a directory for files that are not whole yet, of any number of processes at once.

Each has a name of its own beside what it is for, `.incoming-0f3a…`, and a lock for as long as its
process lives. Whoever makes one removes those without: they are of processes that were killed.
"""

import contextlib
import fcntl
import os
import tempfile
import threading
from pathlib import Path

from osloom.base.files import remove_tree

_PREFIX = ".incoming-"


class Incoming:
    """Those of one process. For any number of threads."""

    def __init__(self) -> None:
        self._made: dict[Path, tuple[Path, int]] = {}
        """Place and lock, by the directory that they are in."""
        self._lock = threading.Lock()

    def below(self, directory: Path) -> Path:
        """The place in `directory`. Raises OSError."""
        with self._lock:
            if directory not in self._made:
                for other in directory.glob(f"{_PREFIX}*"):
                    _remove_left(other)
                self._made[directory] = _make(directory)
            return self._made[directory][0]

    def close(self) -> None:
        with self._lock:
            for place, handle in self._made.values():
                remove_tree(place)
                os.close(handle)
            self._made.clear()


def _make(directory: Path) -> tuple[Path, int]:
    while True:
        place = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=directory))
        handle = _open(place)
        if handle is None:
            continue
        # Somebody may have removed it before it was locked; others hold locks for a moment only.
        with contextlib.suppress(OSError):  # where the file system has none
            fcntl.flock(handle, fcntl.LOCK_SH)
        if place.exists():
            return place, handle
        os.close(handle)


def _remove_left(place: Path) -> None:
    handle = _open(place)
    if handle is None:
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        remove_tree(place)
    except OSError:
        pass  # Its process lives, or the file system has no locks.
    finally:
        os.close(handle)


def _open(place: Path) -> int | None:
    try:
        return os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
