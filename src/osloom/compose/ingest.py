"""Files of the definition as trees: the only way from the project's directory into the store."""

import os
from collections.abc import Iterator
from pathlib import Path

from osloom.base.errors import DefinitionError
from osloom.model.tree import Node, Tree
from osloom.store.store import Store

_NEVER = {".git", "__pycache__", ".DS_Store"}


def ingest(source: Path, store: Store) -> Tree:
    """A file (as the path ``) or a directory (its content) as a tree.

    Modes are 0755 for what its owner may execute and 0644 for the rest, owners are root, times are
    not kept: what a checkout or an editor does to them must not reach an image.
    """
    try:
        if not source.is_dir():
            return Tree({"": _node(source, store)})
        nodes = {"": Node("dir", 0o755)}
        for path in taken(source):
            nodes[path.relative_to(source).as_posix()] = _node(path, store)
        return Tree(nodes)
    except OSError as error:
        raise DefinitionError(f"cannot read {source}: {error.strerror}") from error


def taken(source: Path) -> Iterator[Path]:
    """What is taken of a directory: all below it but `_NEVER`, links as they are."""
    for directory, names, files in os.walk(source):
        names[:] = sorted(name for name in names if name not in _NEVER)
        for name in sorted([*names, *files]):
            if name not in _NEVER:
                yield Path(directory, name)


def _node(path: Path, store: Store) -> Node:
    if path.is_symlink():
        return Node("symlink", 0o777, target=os.readlink(path))  # noqa: PTH115
    if path.is_dir():
        return Node("dir", 0o755)
    if not path.is_file():
        raise DefinitionError(
            f"cannot take {path} into an image: it is neither a file, a directory nor a link"
        )
    executable = bool(path.stat().st_mode & 0o100)
    data = path.read_bytes()
    digest = store.blobs.add(data, executable=executable)
    return Node("file", 0o755 if executable else 0o644, size=len(data), digest=digest)
