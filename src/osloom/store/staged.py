"""Contents that become blobs together, or not at all.

Until then each lies under another name. So what came from somebody who lied leaves nothing behind,
and what a killed process leaves is removed by the next `prune`.
"""

import contextlib
import os
from collections.abc import Iterator

from osloom.base.digest import Digest
from osloom.store.blobs import Blobs, store_error


@contextlib.contextmanager
def staged(blobs: Blobs) -> Iterator["Staged"]:
    """Takes contents as `blobs` does, and gives them to it when the block ends well."""
    stage = Staged(blobs)
    try:
        yield stage
        stage.keep()
    finally:
        stage.drop()


class Staged(Blobs):
    """What `staged` gives: adds, and reads what was added. For one thread."""

    def __init__(self, blobs: Blobs) -> None:
        super().__init__(blobs.root, blobs.temporary)
        self._names: dict[str, str] = {}
        """Of what is not kept yet, by the place that it will have."""

    def keep(self) -> None:
        while self._names:
            place, name = self._names.popitem()
            try:
                os.rename(name, place)  # noqa: PTH104  (hot path)
            except OSError as error:
                self._names[place] = name
                raise store_error("write to", self.root.parent, error) from error

    def drop(self) -> None:
        for name in self._names.values():
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)  # noqa: PTH108  (hot path)
        self._names.clear()

    def _is_there(self, place: str) -> bool:
        return place in self._names or super()._is_there(place)

    def _rename(self, name: str, place: str) -> None:
        before = self._names.get(place)
        if before is not None:
            os.unlink(before)  # noqa: PTH108
        self._names[place] = name

    def _descriptor(self, digest: Digest) -> int:
        for executable in (False, True):
            name = self._names.get(os.fspath(self._place(digest, executable=executable)))
            if name is not None:
                return os.open(name, os.O_RDONLY | os.O_CLOEXEC)
        return super()._descriptor(digest)
