"""A small tree with one of everything."""

import os
from pathlib import Path

from osloom.assemble.place import Place
from osloom.model.tree import Node, Tree
from osloom.store.blobs import Blobs

CAPABILITY = ("security.capability", b"\x01\x00\x00\x02\x00\x20" + bytes(14))


def everything(blobs: Blobs) -> Tree:
    def file(data: bytes, mode: int = 0o644) -> Node:
        return Node("file", mode, mtime=1000, size=len(data), digest=blobs.add(data))

    owned = Node("file", 0o4750, 3, 4, 2000, 5, blobs.add(b"owned"), xattrs=(CAPABILITY,))
    links = {
        f"links/{number:03}{'x' * 80}": Node("hardlink", 0, target="a") for number in range(99)
    }
    return Tree(
        {
            "a": file(b"small"),
            "big": file(bytes(range(256)) * 20_000),
            "dev": Node("dir", 0o755),
            "dev/null": Node("char", 0o666, device=(1, 3)),
            "empty": file(b""),
            "even": file(b"e" * 8192),
            "link": Node("symlink", 0o777, target="a"),
            "link \udcff": Node("symlink", 0o777, target="name \udcff"),
            "links": Node("dir", 0o755),
            "name \udcff": file(b"not UTF-8"),
            "owned": owned,
            "pipe": Node("fifo", 0o600),
            "tmp": Node("dir", 0o1777, mtime=5),
            **links,
        }
    )


def empty(path: Path, size: int) -> Place:
    """The whole of a new file of `size` bytes, all of it a hole."""
    path.touch()
    os.truncate(path, size)
    return Place(path, 0, size)
