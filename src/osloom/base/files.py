"""Files on this machine: written whole or not at all."""

import contextlib
import errno
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_READ = 4 << 20
"""Bytes that are read and hashed at a time."""
_PIECE = 32 << 20
"""Bytes that one thread copies at a time."""
_WRITTEN_EARLY = 2 << 20
"""Bytes that are on their way to the disk before the next are copied, where all will be waited for."""


@contextlib.contextmanager
def replacing(
    path: Path, *, sync: bool = True, directory: Path | None = None
) -> Iterator[BinaryIO]:
    """A new file that takes the place of `path` when the block ends well, and vanishes if not.

    Until then it is in `directory`, on the same file system; beside `path` by default.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=directory or path.parent)
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


def copy_sparse(
    source: Path, target: Path, *, sync: bool = False, directory: Path | None = None
) -> None:
    """Copy a file with its holes; `target` appears whole or not at all, see `replacing`.

    A synced one is not kept in memory.
    """
    made = replacing(target, sync=False, directory=directory)
    with source.open("rb") as reader, made as writer:
        descriptor = writer.fileno()
        os.truncate(descriptor, os.fstat(reader.fileno()).st_size)
        _copy_extents(reader.fileno(), descriptor, 0, sync=sync)
        if sync:
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def copy_into(source: Path, target: Path, offset: int) -> None:
    """Copy what a file holds into an empty part of `target`, from `offset` on; holes stay holes."""
    with source.open("rb") as reader, target.open("r+b") as writer:
        _copy_extents(reader.fileno(), writer.fileno(), offset)


def _copy_extents(reader: int, writer: int, offset: int, *, sync: bool = False) -> None:
    from concurrent.futures import ThreadPoolExecutor

    most = _WRITTEN_EARLY if sync else _PIECE

    def copy(piece: tuple[int, int]) -> None:
        position, end = piece
        while position < end:
            size = min(most, end - position)
            count = copy_range(reader, writer, size, position, position + offset)
            if count == 0:
                break
            if sync:
                # Begins to write what is not on the disk yet, and gives up the memory of what is:
                # posix_fadvise(2).
                os.posix_fadvise(writer, 0, position + offset + count, os.POSIX_FADV_DONTNEED)
            position += count

    pieces = [
        (place, min(place + _PIECE, end))
        for start, end in extents(reader, os.fstat(reader).st_size)
        for place in range(start, end, _PIECE)
    ]
    if len(pieces) < 2:
        for piece in pieces:
            copy(piece)
        return
    with ThreadPoolExecutor(max_workers=4) as pool:
        for _ in pool.map(copy, pieces):
            pass


def copy_range(reader: int, writer: int, count: int, source: int, target: int) -> int:
    """Copy at most `count` bytes between open files; where they can, the two share the bytes until
    one is written to. Gives how many there were."""
    try:
        return os.copy_file_range(reader, writer, count, source, target)
    except OSError as error:
        # Between file systems of different kinds the kernel leaves it to us, copy_file_range(2).
        if error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
            raise
        return os.pwrite(writer, os.pread(reader, min(count, _READ), source), target)


def mapped(path: Path) -> memoryview:
    """All of a file that is not empty, without a copy."""
    # Few need it.
    import mmap

    with path.open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ))


def extents(descriptor: int, size: int) -> Iterator[tuple[int, int]]:
    """What of a file is no hole, as far as its file system knows: begins and ends, in order."""
    position = 0
    while position < size:
        try:
            start = os.lseek(descriptor, position, os.SEEK_DATA)
        except OSError:  # ENXIO: nothing but a hole is left, lseek(2)
            return
        end = os.lseek(descriptor, start, os.SEEK_HOLE)
        yield start, end
        position = end


def sha256_sparse(path: Path) -> str:
    """The digest of a file, in hex. Holes are not read, and reading goes on while hashing does."""
    if path.stat().st_size <= _READ:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    from concurrent.futures import ThreadPoolExecutor

    found = hashlib.sha256()
    zeros = bytes(_READ)
    with path.open("rb") as file, ThreadPoolExecutor(max_workers=1) as pool:
        descriptor = file.fileno()
        size = os.fstat(descriptor).st_size
        pieces = [
            (place, min(_READ, end - place))
            for start, end in extents(descriptor, size)
            for place in range(start, end, _READ)
        ]
        buffers = [bytearray(_READ), bytearray(_READ)]

        def read(number: int) -> int:
            place, count = pieces[number]
            return os.preadv(descriptor, [memoryview(buffers[number % 2])[:count]], place)

        ready = pool.submit(read, 0) if pieces else None
        position = 0
        for number, (place, count) in enumerate(pieces):
            assert ready is not None
            if ready.result() != count:
                raise OSError(errno.EIO, "it changed while it was read", os.fspath(path))
            if number + 1 < len(pieces):
                ready = pool.submit(read, number + 1)
            _hash_zeros(found, zeros, place - position)
            found.update(memoryview(buffers[number % 2])[:count])
            position = place + count
        _hash_zeros(found, zeros, size - position)
    return found.hexdigest()


def _hash_zeros(found: "hashlib._Hash", zeros: bytes, count: int) -> None:
    for place in range(0, count, len(zeros)):
        found.update(memoryview(zeros)[: count - place])


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
