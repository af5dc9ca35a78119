"""Store paths from a Nix store on this machine, without an archive between.

They are hashed as the NAR that they would be while they are read into blobs, so that nobody has to
be believed: not the database of that store, and not whoever may write to it.
"""

import hashlib
import os
import stat
from pathlib import Path
from typing import NoReturn

from osloom.base.digest import from_hex
from osloom.base.errors import FetchError
from osloom.model.nar import CLOSE, DIRECTORY, ENTRY, EXECUTABLE, FILE, MAGIC, NODE, SYMLINK, word
from osloom.model.tree import Node, Tree
from osloom.sources.nix.nar import MTIME, Keeper, Read

_SMALL = 1 << 20
"""Bytes of a file that is taken as a whole, and so not written when its blob is there."""
_MOST_NESTED = 256
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


def read_local(directory: Path, name: str, blobs: Keeper) -> Read | None:
    """The store path `name` in `directory`, which is a `nix/store`; None when it is not there.

    Raises FetchError for what cannot be read, or is nothing that a store holds.
    """
    reader = _Reader(os.fspath(directory), blobs)
    place = f"nix/store/{name}"
    if not os.path.lexists(reader.where(place)):
        return None
    try:
        reader.put(MAGIC)
        reader.node(place, 0)
    except OSError as error:
        raise FetchError(
            f"cannot read {error.filename or directory / name}: {error.strerror}"
        ) from error
    return Read(
        tree=Tree(reader.nodes), nar_hash=from_hex(reader.hash.hexdigest()), nar_size=reader.size
    )


class _Reader:
    def __init__(self, directory: str, blobs: Keeper) -> None:
        self.hash = hashlib.sha256()
        self.size = 0
        self.nodes: dict[str, Node] = {}
        self._above = directory.removesuffix("nix/store")
        self._blobs = blobs

    def where(self, path: str) -> str:
        return f"{self._above}{path}"

    def put(self, data: bytes) -> None:
        """The next bytes of the NAR."""
        self.hash.update(data)
        self.size += len(data)

    def node(self, path: str, depth: int) -> None:
        found = os.lstat(self.where(path))
        if stat.S_ISREG(found.st_mode):
            self.nodes[path] = self._file(path)
        elif stat.S_ISLNK(found.st_mode):
            self.nodes[path] = self._symlink(path)
        elif stat.S_ISDIR(found.st_mode):
            self.nodes[path] = Node("dir", 0o555, mtime=MTIME)
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

    def _symlink(self, path: str) -> Node:
        target = os.readlink(os.fsencode(self.where(path)))  # noqa: PTH115  (bytes)
        self.put(SYMLINK + word(target))
        return Node("symlink", 0o777, mtime=MTIME, target=os.fsdecode(target))

    def _file(self, path: str) -> Node:
        descriptor = os.open(self.where(path), _FLAGS)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                self._fail(path, "it changes while it is read")
            executable, size = bool(found.st_mode & stat.S_IXUSR), found.st_size
            self.put((EXECUTABLE if executable else FILE) + size.to_bytes(8, "little"))
            before = self.size
            if size <= _SMALL:
                data = os.read(descriptor, size)
                digest = self._blobs.add(data, executable=executable)
                self.put(data)
            else:
                with self._blobs.writer(executable=executable) as writer:
                    writer.clone(descriptor, size, hear=self.put)
                digest = writer.digest
            if self.size - before != size:
                self._fail(path, "it changes while it is read")
            self.put(bytes(-size % 8))
        finally:
            os.close(descriptor)
        mode = 0o555 if executable else 0o444
        return Node("file", mode, mtime=MTIME, size=size, digest=digest)

    def _fail(self, path: str, cause: str) -> NoReturn:
        raise FetchError(f"cannot take {self.where(path)}: {cause}")
