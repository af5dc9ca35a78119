"""Store paths from a Nix store on this machine, without an archive between.

They are read into the blob that their NAR is in osloom's store, so that nobody has to be believed:
not the database of that store, and not whoever may write to it.
"""

import os
import stat
from pathlib import Path
from typing import NoReturn

from osloom.base.errors import FetchError
from osloom.model.nar import CLOSE, DIRECTORY, ENTRY, EXECUTABLE, FILE, MAGIC, NODE, SYMLINK, word
from osloom.sources.nix.nar import Found, Keeper, Read
from osloom.store.blobs import BlobWriter

_CHUNK = 1 << 20
_MOST_NESTED = 256
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


def read_local(directory: Path, name: str, blobs: Keeper) -> Read | None:
    """The store path `name` in `directory`, which is a `nix/store`; None when it is not there.

    Raises FetchError for what cannot be read, or is nothing that a store holds.
    """
    if not os.path.lexists(directory / name):
        return None
    with blobs.writer() as writer:
        reader = _Reader(os.fspath(directory), writer)
        try:
            reader.put(MAGIC)
            reader.node(f"nix/store/{name}", 0)
        except OSError as error:
            raise FetchError(
                f"cannot read {error.filename or directory / name}: {error.strerror}"
            ) from error
    return Read(tree=reader.found.tree(writer.digest), nar_hash=writer.digest, nar_size=writer.size)


class _Reader:
    def __init__(self, directory: str, writer: BlobWriter) -> None:
        self.found = Found()
        self.put = writer.write
        """Takes the next bytes of the NAR."""
        self._above = directory.removesuffix("nix/store")
        self._writer = writer

    def where(self, path: str) -> str:
        return f"{self._above}{path}"

    def node(self, path: str, depth: int) -> None:
        found = os.lstat(self.where(path))
        if stat.S_ISREG(found.st_mode):
            self._file(path)
        elif stat.S_ISLNK(found.st_mode):
            self._symlink(path)
        elif stat.S_ISDIR(found.st_mode):
            self.found.directory(path)
            self._directory(path, depth)
        else:
            self._fail(path, "it is neither a file nor a directory nor a link")
        self.put(CLOSE)

    def _directory(self, path: str, depth: int) -> None:
        if depth == _MOST_NESTED:
            self._fail(path, f"directories are nested more than {_MOST_NESTED} deep")
        self.put(DIRECTORY)
        for name in sorted(os.listdir(os.fsencode(self.where(path)))):  # noqa: PTH208  (bytes)
            self.put(ENTRY + word(name) + NODE)
            self.node(f"{path}/{os.fsdecode(name)}", depth + 1)
            self.put(CLOSE)

    def _symlink(self, path: str) -> None:
        target = os.readlink(os.fsencode(self.where(path)))  # noqa: PTH115  (bytes)
        self.put(SYMLINK + word(target))
        self.found.symlink(path, target)

    def _file(self, path: str) -> None:
        descriptor = os.open(self.where(path), _FLAGS)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                self._fail(path, "it changes while it is read")
            executable, size = bool(found.st_mode & stat.S_IXUSR), found.st_size
            self.put((EXECUTABLE if executable else FILE) + size.to_bytes(8, "little"))
            self.found.file(path, self._writer.size, size, executable=executable)
            left = size
            while left and (data := os.read(descriptor, min(left, _CHUNK))):
                self.put(data)
                left -= len(data)
            if left:
                self._fail(path, "it changes while it is read")
            self.put(bytes(-size % 8))
        finally:
            os.close(descriptor)

    def _fail(self, path: str, cause: str) -> NoReturn:
        raise FetchError(f"cannot take {self.where(path)}: {cause}")
