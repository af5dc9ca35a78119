"""Where in a disk's file something goes."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec

from osloom.base.files import copy_into

Put = Callable[[int, bytes], None]
"""Writes bytes at an offset of a partition."""
Contents = Mapping[int, bytes | Path]
"""What lies where on a disk: bytes, or all of a file; by offsets in bytes."""


def make_disk_file(path: Path, size: int, contents: Contents) -> None:
    """A new file of `size` bytes; what nothing lies in is a hole."""
    with path.open("xb") as file:
        file.truncate(size)
    write_contents(path, contents)


def write_contents(disk: Path, contents: Contents) -> None:
    """Into a file that is empty there; holes stay holes."""
    for offset, content in contents.items():
        if isinstance(content, Path):
            copy_into(content, disk, offset)
        else:
            with disk.open("r+b") as file:
                file.seek(offset)
                file.write(content)


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
