"""A tree as a Nix archive (NAR), and the words that one is made of.

https://nix.dev/manual/nix/stable/protocols/nix-archive: a sequence of strings, each its length as
64 bits, little-endian, its bytes, and zeros up to a multiple of eight. It holds files, of which it
knows whether they are executable, directories in the order of their names' bytes, and symbolic
links; no owners, no times, no hard links.
"""

from collections.abc import Callable, Iterable, Iterator

from osloom.base.digest import Digest
from osloom.model.tree import Node, Tree, TreeError

_GATHERED = 256 << 10
"""Bytes that are handed on at a time: whoever hashes, writes or compresses takes them at once."""

Chunks = Callable[[Digest], Iterable[bytes]]
"""Gives the content of a file in pieces, as `store.blobs.Blobs.chunks`."""


def word(data: bytes) -> bytes:
    """A string as it stands in a NAR."""
    return len(data).to_bytes(8, "little") + data + bytes(-len(data) % 8)


def _words(*texts: bytes) -> bytes:
    return b"".join(word(text) for text in texts)


MAGIC = word(b"nix-archive-1")
FILE = _words(b"(", b"type", b"regular", b"contents")
EXECUTABLE = _words(b"(", b"type", b"regular", b"executable", b"", b"contents")
SYMLINK = _words(b"(", b"type", b"symlink", b"target")
DIRECTORY = _words(b"(", b"type", b"directory")
ENTRY = _words(b"entry", b"(", b"name")
NODE = word(b"node")
CLOSE = word(b")")


def write_nar(tree: Tree, root: str, chunks: Chunks) -> Iterator[bytes]:
    """The NAR of what `tree` has at `root`, in pieces, few of them small.

    A hard link is written as the file that it is. Raises TreeError for what a NAR cannot hold.
    """
    few: list[bytes] = []
    size = 0
    for piece in _pieces(tree, root, chunks):
        if few and size + len(piece) > _GATHERED:
            yield few[0] if len(few) == 1 else b"".join(few)
            few, size = [], 0
        few.append(piece)
        size += len(piece)
    yield b"".join(few)


def _pieces(tree: Tree, root: str, chunks: Chunks) -> Iterator[bytes]:
    yield MAGIC
    children = _children(tree, root)
    # What is still to be written, the next last: paths and what stands before them, or words.
    todo: list[tuple[bytes, str | None]] = [(b"", root)]
    while todo:
        before, path = todo.pop()
        yield before
        if path is None:
            continue
        node = _plain(tree, path)
        if node.kind == "dir":
            yield DIRECTORY
            todo.append((CLOSE if path == root else CLOSE + CLOSE, None))
            todo.extend(
                (ENTRY + word(name) + NODE, child) for name, child in reversed(children[path])
            )
            continue
        if node.kind == "symlink":
            yield SYMLINK + word(node.target.encode(errors="surrogateescape"))
        else:
            yield from _file(node, chunks)
        yield CLOSE if path == root else CLOSE + CLOSE


def _file(node: Node, chunks: Chunks) -> Iterator[bytes]:
    assert node.digest is not None
    # The owner's bit is what Nix looks at.
    yield (EXECUTABLE if node.mode & 0o100 else FILE) + node.size.to_bytes(8, "little")
    if node.size:
        yield from chunks(node.digest)
        yield bytes(-node.size % 8)


def _plain(tree: Tree, path: str) -> Node:
    node = tree[path]
    if node.kind == "hardlink":
        node = tree[node.target]
    if node.kind not in ("file", "dir", "symlink"):
        raise TreeError(f"cannot write `/{path}` into a NAR: it is a {node.kind}")
    return node


def _children(tree: Tree, root: str) -> dict[str, list[tuple[bytes, str]]]:
    """Names and paths of what is in each directory, in a NAR's order.

    Not the tree's: that orders whole paths, and as text.
    """
    below = f"{root}/" if root else ""
    found: dict[str, list[tuple[bytes, str]]] = {}
    for path, node in tree.items():
        if path == root or path.startswith(below):
            if node.kind == "dir":
                found[path] = []
            if path != root:
                parent, _, name = path.rpartition("/")
                found[parent].append((name.encode(errors="surrogateescape"), path))
    for names in found.values():
        names.sort()
    return found
