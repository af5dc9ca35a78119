"""Blobs: file contents by digest, on this disk.

    blobs/ab/cdef…      content, mode 0644
    blobs/ab/cdef….x    the same for files that are executable, mode 0755

    blobs/ab/….NAME     one that is being written, or was when its process was killed

Content may also be a part of a blob (`base.digest.Part`): then it is read from there, and has a
file of its own, named in the same way, only when somebody wants a file.

Two inodes, so that a directory made of hard links to blobs has the right modes. All blobs have
the same modification time, so that such a directory is a function of its tree. A blob appears by
rename and is never written again; it is not synced (see `store.results` for what that asks).
"""

import contextlib
import errno
import hashlib
import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from osloom.base.digest import Digest, as_part, digest_bytes, from_hex, to_hex
from osloom.base.errors import StoreError
from osloom.base.files import mapped, sha256_sparse

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

MTIME = 315532800
"""1980-01-01, the first day that every format can hold."""
_CHUNK = 1 << 20
_LARGE = 128 << 10
"""Bytes that are worth another thread."""
_HUGE = 8 << 20
"""Bytes of which hashing and writing both take long."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


def store_error(verb: str, path: Path, error: OSError) -> StoreError:
    """What an operating system error on the store means for the user."""
    hints = {
        errno.ENOSPC: "free some space, or run `osloom cache prune`; the next run continues",
        errno.EDQUOT: "free some space, or run `osloom cache prune`; the next run continues",
        errno.EROFS: "set OSLOOM_STORE to a directory that can be written",
        errno.EACCES: "set OSLOOM_STORE to a directory that can be written",
    }
    hint = hints.get(error.errno or 0)
    return StoreError(f"cannot {verb} the store at {path}: {error.strerror}", hint=hint)


class BlobWriter:
    """Takes bytes; `digest` and `size` are known when the block has ended well."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self._hashing: Future[None] | None = None
        self.size = 0
        self.digest = Digest("")

    def write(self, data: bytes | memoryview) -> int:
        self._wait()
        self._hash.update(data)
        return self._put(data)

    def write_beside(self, data: bytes | memoryview, pool: "Executor") -> None:
        """The same, while a thread of `pool`, its only one, hashes it: of much it is the longer half.

        What comes next is got ready meanwhile, so that `data` has to stay as it is.
        """
        self._wait()
        self._hashing = pool.submit(self._hash.update, data)
        self._put(data)

    def _wait(self) -> None:
        if self._hashing is not None:
            self._hashing.result()
            self._hashing = None

    def _put(self, data: bytes | memoryview) -> int:
        self.size += len(data)
        return self._file.write(data)

    def finish(self) -> Digest:
        self._wait()
        self.digest = from_hex(self._hash.hexdigest())
        return self.digest


class Blobs:
    """See the module."""

    def __init__(self, root: Path, temporary: Path) -> None:
        self.root = root
        self.temporary = temporary
        self._root = os.fspath(root)
        # Names that no other process writes to, and no other thread: next() of a count is atomic.
        self._token = os.urandom(8).hex()
        self._numbers = itertools.count()

    def _place(self, digest: Digest, *, executable: bool) -> Path:
        name = to_hex(digest)
        return self.root / name[:2] / (name[2:] + (".x" if executable else ""))

    def find(self, digest: Digest) -> Path | None:
        """The blob's path, whichever of its two inodes there is. A part is made a file."""
        for executable in (False, True):
            path = self._place(digest, executable=executable)
            if path.exists():
                return path
        part = as_part(digest)
        if part is None or self.find(part.whole) is None:
            return None
        return self.linkable(digest, executable=False)

    def path(self, digest: Digest) -> Path:
        found = self.find(digest)
        if found is None:
            raise self._missing(digest)
        return found

    def _missing(self, digest: Digest) -> StoreError:
        return StoreError(
            f"cannot find {digest} in the store at {self.root.parent}",
            hint="something removed it; run `osloom cache verify`, then build again",
        )

    def linkable(self, digest: Digest, *, executable: bool) -> Path:
        """The inode with the wanted mode; made from the other one when it is missing."""
        path = self._place(digest, executable=executable)
        if not path.exists():
            with self._new(f"{path}.", executable=executable) as (descriptor, name):
                for chunk in self.chunks(digest):
                    _write_all(descriptor, chunk)
                self._keep(descriptor, name, os.fspath(path))
        return path

    def link(self, digest: Digest, place: str, *, executable: bool) -> None:
        """Make `place` a hard link to the blob. Raises OSError."""
        # Once a file of every root: text instead of paths, and the fewest system calls.
        text = to_hex(digest)
        own = f"{self._root}/{text[:2]}/{text[2:]}{'.x' if executable else ''}"
        try:
            os.link(own, place)
        except FileNotFoundError:
            os.link(self.linkable(digest, executable=executable), place)

    def open(self, digest: Digest) -> BinaryIO:
        return self.path(digest).open("rb")

    def read(self, digest: Digest) -> bytes:
        return b"".join(self.chunks(digest))

    def chunks(self, digest: Digest, most: int = _CHUNK) -> Iterator[bytes]:
        """The content in pieces of `most` bytes, the last of which may be shorter."""
        # Once a file of every layer: text instead of paths, and the fewest system calls.
        part = as_part(digest)
        descriptor = self._descriptor(digest if part is None else part.whole)
        try:
            there = os.fstat(descriptor).st_size
            place, left = (0, there) if part is None else part[1:]
            if place + left > there:
                raise self._missing(digest)
            while left > 0 and (chunk := os.pread(descriptor, min(left, most), place)):
                place += len(chunk)
                left -= len(chunk)
                yield chunk
        finally:
            os.close(descriptor)

    def size(self, digest: Digest) -> int | None:
        """Bytes of a blob; None when it is not there, or does not hold all of a part."""
        part = as_part(digest)
        if part is not None:
            there = self.size(part.whole)
            return None if there is None or part.start + part.size > there else part.size
        path = self.find(digest)
        return None if path is None else path.stat().st_size

    def same(self, one: Digest, other: Digest) -> bool:
        """Whether both are of the same bytes: where one is of a part, that has to be looked at."""
        if one == other or not (as_part(one) or as_part(other)):
            return one == other
        return self.size(one) == self.size(other) and self.read(one) == self.read(other)

    def mapped(self, digest: Digest) -> memoryview:
        """All of a blob that is not empty, without a copy."""
        return mapped(self.path(digest))

    def _descriptor(self, digest: Digest) -> int:
        text = to_hex(digest)
        place = f"{self._root}/{text[:2]}/{text[2:]}"
        for name in (place, f"{place}.x"):
            with contextlib.suppress(FileNotFoundError):
                return os.open(name, os.O_RDONLY | os.O_CLOEXEC)
        return os.open(self.path(digest), os.O_RDONLY | os.O_CLOEXEC)

    def add(self, data: bytes | memoryview, *, executable: bool = False) -> Digest:
        if len(data) >= _HUGE:
            return self.add_chunks([data], executable=executable)
        digest = digest_bytes(data)
        # Once a file of every package: text instead of paths, and the fewest system calls. Next
        # to its place, because processes that make files in one directory wait for each other.
        text = to_hex(digest)
        place = f"{self._root}/{text[:2]}/{text[2:]}{'.x' if executable else ''}"
        if not self._is_there(place):
            with self._new(f"{place}.", executable=executable) as (descriptor, name):
                _write_all(descriptor, data)
                self._keep(descriptor, name, place)
        return digest

    def _is_there(self, place: str) -> bool:
        return os.path.exists(place)  # noqa: PTH110  (hot path)

    @contextlib.contextmanager
    def writer(self, *, executable: bool = False) -> Iterator[BlobWriter]:
        """A blob whose content comes piece by piece; kept when the block ends well."""
        with self._new(f"{self.temporary}/", executable=executable) as (descriptor, name):
            with os.fdopen(descriptor, "wb", closefd=False) as file:
                writer = BlobWriter(file)
                yield writer
            place = self._place(writer.finish(), executable=executable)
            self._keep(descriptor, name, os.fspath(place))

    def add_chunks(
        self, chunks: Iterable[bytes | memoryview], *, executable: bool = False
    ) -> Digest:
        with self.writer(executable=executable) as writer, contextlib.ExitStack() as stack:
            pool: Executor | None = None
            for chunk in _pieces(chunks):
                if len(chunk) < _LARGE:
                    writer.write(chunk)
                    continue
                if pool is None:
                    # Who writes little need not load it.
                    from concurrent.futures import ThreadPoolExecutor

                    pool = stack.enter_context(ThreadPoolExecutor(max_workers=1))
                writer.write_beside(chunk, pool)
        return writer.digest

    def add_file(self, path: Path, *, executable: bool = False) -> Digest:
        """Move a file of the store's own working area into the blobs; holes stay holes."""
        digest = from_hex(sha256_sparse(path))
        place = self._place(digest, executable=executable)
        path.chmod(0o755 if executable else 0o644)
        os.utime(path, (MTIME, MTIME))
        path.rename(place)
        return digest

    @contextlib.contextmanager
    def _new(self, prefix: str, *, executable: bool) -> Iterator[tuple[int, str]]:
        """A file and its name, which is gone after the block unless it got another one."""
        name = f"{prefix}{self._token}-{next(self._numbers)}"
        mode = 0o755 if executable else 0o644
        try:
            descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        except OSError as error:
            raise store_error("write to", self.root.parent, error) from error
        try:
            os.fchmod(descriptor, mode)  # whatever the umask
            yield descriptor, name
        except BaseException as error:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)  # noqa: PTH108
            if isinstance(error, OSError) and error.errno in _FULL:
                raise store_error("write to", self.root.parent, error) from error
            raise
        finally:
            os.close(descriptor)

    def _keep(self, descriptor: int, name: str, place: str) -> None:
        os.utime(descriptor, (MTIME, MTIME))
        self._rename(name, place)

    def _rename(self, name: str, place: str) -> None:
        os.rename(name, place)  # noqa: PTH104  (hot path)


def _pieces(chunks: Iterable[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    """So short that what is hashed of them is still in the processor's cache when it is written."""
    for chunk in chunks:
        if len(chunk) <= _CHUNK:
            yield chunk
        else:
            whole = memoryview(chunk)
            yield from (whole[place : place + _CHUNK] for place in range(0, len(whole), _CHUNK))


def _write_all(descriptor: int, data: bytes | memoryview) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
