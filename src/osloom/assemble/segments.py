"""An initrd in segments, so that a changed file changes the bytes of its own segment alone.

The kernel unpacks one archive after the other, each compressed for itself, and skips zeros between
them: https://docs.kernel.org/driver-api/early-userspace/buffer-format.html
"""

from collections.abc import Iterable, Iterator

from osloom.model.tree import Node, Tree

ALIGNMENT = 4096
"""Bytes; what is compared between two versions is a block of this size."""
_LARGE = 128 << 10
"""Bytes from which on a file has a segment of its own: smaller ones compress better together. Of a
Debian initrd the segments take 4 % more than one archive would."""
_DEPTH = 3
"""Parts of a directory's path by which small files are put together."""
_DIRECTORIES = ""


def split_tree(tree: Tree) -> list[Tree]:
    """The tree in parts, by where the files are; directories first, and all that is no file."""
    found: dict[str, dict[str, Node]] = {_DIRECTORIES: {}}
    for path, given in tree.items():
        node = tree[given.target] if given.kind == "hardlink" else given
        found.setdefault(_place(path, node), {})[path] = node
    return [Tree(nodes) for nodes in found.values()]


def _place(path: str, node: Node) -> str:
    if node.kind != "file":
        return _DIRECTORIES
    parts = path.split("/")
    # Modules are all of one kernel, and change together.
    is_large = node.size >= _LARGE and "modules" not in parts
    return path if is_large else "/".join(parts[:-1][:_DEPTH]) + "/"


def joined(segments: Iterable[Iterable[bytes]]) -> Iterator[bytes]:
    """The segments one after the other, each begun at a multiple of ALIGNMENT."""
    for pieces in segments:
        size = 0
        for piece in pieces:
            yield piece
            size += len(piece)
        yield bytes(-size % ALIGNMENT)
