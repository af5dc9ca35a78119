"""Files on this machine: written whole or not at all."""

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_PIECE = 32 << 20
"""Bytes that one thread copies at a time."""


@contextlib.contextmanager
def replacing(path: Path, *, sync: bool = True) -> Iterator[BinaryIO]:
    """A new file that takes the place of `path` when the block ends well, and vanishes if not."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), 0o644)
            yield file
            file.flush()
            if sync:
                os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
        raise


def write_atomic(path: Path, data: bytes, *, sync: bool = True) -> None:
    with replacing(path, sync=sync) as file:
        file.write(data)


def copy_sparse(source: Path, target: Path) -> None:
    """Copy a file with its holes; `target` appears whole or not at all."""
    with source.open("rb") as reader, replacing(target, sync=False) as writer:
        os.truncate(writer.fileno(), os.fstat(reader.fileno()).st_size)
        _copy_extents(reader.fileno(), writer.fileno(), 0)


def copy_into(source: Path, target: Path, offset: int) -> None:
    """Copy what a file holds into an empty part of `target`, from `offset` on; holes stay holes."""
    with source.open("rb") as reader, target.open("r+b") as writer:
        _copy_extents(reader.fileno(), writer.fileno(), offset)


def _copy_extents(reader: int, writer: int, offset: int) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def copy(piece: tuple[int, int]) -> None:
        position, end = piece
        while position < end:
            count = os.copy_file_range(reader, writer, end - position, position, position + offset)
            if count == 0:
                break
            position += count

    pieces = [
        (place, min(place + _PIECE, end))
        for start, end in _extents(reader, os.fstat(reader).st_size)
        for place in range(start, end, _PIECE)
    ]
    if len(pieces) < 2:
        for piece in pieces:
            copy(piece)
        return
    with ThreadPoolExecutor(max_workers=4) as pool:
        for _ in pool.map(copy, pieces):
            pass


def _extents(descriptor: int, size: int) -> Iterator[tuple[int, int]]:
    position = 0
    while position < size:
        try:
            start = os.lseek(descriptor, position, os.SEEK_DATA)
        except OSError:  # ENXIO: nothing but a hole is left, lseek(2)
            return
        end = os.lseek(descriptor, start, os.SEEK_HOLE)
        yield start, end
        position = end


def remove_tree(path: Path) -> None:
    """Remove a directory whatever the modes inside it are; silent when it is gone already."""

    def unlock(_function: object, name: str, _error: object) -> None:
        with contextlib.suppress(OSError):
            Path(name).parent.chmod(stat.S_IRWXU)
            Path(name).chmod(stat.S_IRWXU)
        if Path(name).is_dir() and not Path(name).is_symlink():
            shutil.rmtree(name, ignore_errors=True)
        else:
            Path(name).unlink(missing_ok=True)

    if path.exists():
        shutil.rmtree(path, onerror=unlock)
