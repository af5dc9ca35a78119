"""Where in a disk's file something goes."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

Put = Callable[[int, bytes], None]
"""Writes bytes at an offset of a partition."""


class Place(msgspec.Struct, frozen=True):
    """A partition: `size` bytes of the file `path` from `offset` on."""

    path: Path
    """In the step's working directory."""
    offset: int
    size: int

    @contextlib.contextmanager
    def writing(self) -> Iterator[Put]:
        with self.path.open("r+b") as file:

            def put(offset: int, data: bytes) -> None:
                file.seek(self.offset + offset)
                file.write(data)

            yield put
