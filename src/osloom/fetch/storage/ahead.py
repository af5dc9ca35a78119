"""Copies of files that are going to be written to a directory, made before they are asked for.

A disk takes longer to keep a large file than a processor to copy it: what is on its way early is
there in the end. Nothing waits for these copies but who takes one, and one that fails is none.
"""

import itertools
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from osloom.base.files import copy_sparse
from osloom.fetch.storage.incoming import Incoming

_LEAST = 1 << 20
"""Bytes of a file that takes any time."""


class Ahead:
    """Those for one directory, which are in `incoming` until they are taken."""

    def __init__(self, directory: Path, incoming: Incoming) -> None:
        self._directory = directory
        self._incoming = incoming
        self._pool: ThreadPoolExecutor | None = None
        self._copies: dict[Path, Future[Path]] = {}
        self._numbers = itertools.count()

    def bring(self, content: Path) -> None:
        """Have a copy of the file `content`, which stays as it is; not of a small one, and not where
        there is no directory yet."""
        if not self._directory.is_dir() or content.stat().st_size < _LEAST:
            return
        self._pool = self._pool or ThreadPoolExecutor(max_workers=1)
        self._copies[content] = self._pool.submit(self._copy, content, next(self._numbers))

    def take(self, content: Path, place: Path) -> bool:
        """Put the copy of `content` in `place`; no where there is none."""
        copy = self._copies.pop(content, None)
        if copy is None:
            return False
        try:
            copy.result().replace(place)
        except OSError:
            return False
        return True

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _copy(self, content: Path, number: int) -> Path:
        place = self._incoming.below(self._directory) / f"ahead-{number}"
        copy_sparse(content, place, sync=True)
        return place
