"""Files of the definition as trees: the only way from the project's directory into the store."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from osloom.base.digest import Digest, from_hex
from osloom.base.errors import DefinitionError
from osloom.model.tree import Node, Tree
from osloom.store.store import Store

_NEVER = {".git", "__pycache__", ".DS_Store"}
_CHUNK = 1 << 20


def ingest(source: Path, store: Store) -> Tree:
    """A file (as the path ``) or a directory (its content) as a tree.

    Modes are 0755 for what its owner may execute and 0644 for the rest, owners are root, times are
    not kept: what a checkout or an editor does to them must not reach an image. Raises
    DefinitionError for what cannot be read.
    """
    if not _is_directory(source):
        return Tree({"": _node(source, store)})
    nodes = {"": Node("dir", 0o755)}
    for path in taken(source):
        nodes[path.relative_to(source).as_posix()] = _node(path, store)
    return Tree(nodes)


def taken(source: Path) -> Iterator[Path]:
    """What is taken below a source: of a directory all but `_NEVER`, links as they are.

    Raises DefinitionError for a directory that cannot be read.
    """
    walked = os.walk(source, onerror=_stop) if _is_directory(source) else ()
    for directory, names, files in walked:
        names[:] = sorted(name for name in names if name not in _NEVER)
        for name in sorted([*names, *files]):
            if name not in _NEVER:
                yield Path(directory, name)


def _is_directory(source: Path) -> bool:
    try:
        return source.is_dir()
    except OSError as error:
        raise _unreadable(source, error) from error


def _stop(error: OSError) -> None:
    raise _unreadable(error.filename, error) from error


def _unreadable(path: str | Path, error: OSError) -> DefinitionError:
    return DefinitionError(
        f"cannot read {path}: {error.strerror}",
        hint="let the user who builds read all below the sources of `files`",
    )


def _node(path: Path, store: Store) -> Node:
    try:
        if path.is_symlink():
            return Node("symlink", 0o777, target=os.readlink(path))  # noqa: PTH115
        if path.is_dir():
            return Node("dir", 0o755)
        if path.is_file():
            return _file(path, store)
    except OSError as error:
        raise _unreadable(path, error) from error
    raise DefinitionError(
        f"cannot take {path} into an image: it is neither a file, a directory nor a link"
    )


def _file(path: Path, store: Store) -> Node:
    executable = bool(path.stat().st_mode & 0o100)
    digest, size = _content(path, store, executable=executable)
    return Node("file", 0o755 if executable else 0o644, size=size, digest=digest)


def _content(path: Path, store: Store, *, executable: bool) -> tuple[Digest, int]:
    """The digest and the size of a file, whose content is in the store then."""
    with path.open("rb") as file:
        # Every build comes here: what the store has is read, and not written again.
        digest = from_hex(hashlib.file_digest(file, "sha256").hexdigest())
        if store.blobs.find(digest) is not None:
            return digest, file.tell()
        file.seek(0)
        with store.blobs.writer(executable=executable) as writer:
            while chunk := file.read(_CHUNK):
                writer.write(chunk)
    # Of what was written, should the file have changed meanwhile.
    return writer.digest, writer.size
