"""A tree as a cpio archive of the kernel's kind, `newc`, cpio(5).

https://docs.kernel.org/driver-api/early-userspace/buffer-format.html
"""

import stat
from collections.abc import Callable, Iterable, Iterator

from osloom.base.digest import Digest
from osloom.model.tree import Node, Tree, TreeError

_LARGEST = 0xFFFFFFFF
"""What eight hexadecimal digits can say."""

_TYPES = {
    "file": stat.S_IFREG,
    "dir": stat.S_IFDIR,
    "symlink": stat.S_IFLNK,
    "char": stat.S_IFCHR,
    "block": stat.S_IFBLK,
    "fifo": stat.S_IFIFO,
}


def write_cpio(tree: Tree, read: Callable[[Digest], Iterable[bytes]]) -> Iterator[bytes]:
    """The archive in pieces; a hard link becomes a file of its own."""
    number = 0
    for path, given in tree.items():
        if not path:
            continue
        node = tree[given.target] if given.kind == "hardlink" else given
        number += 1
        target = node.target.encode(errors="surrogateescape")
        size = node.size if node.kind == "file" else len(target)
        if size > _LARGEST:
            raise TreeError(
                f"cannot write `/{path}` into a cpio archive: it is larger than 4 GiB",
                hint="leave it out of the initrd",
            )
        yield _header(path.encode(errors="surrogateescape"), node, number, size)
        if node.kind == "file" and node.digest is not None:
            yield from read(node.digest)
        else:
            yield target
        yield bytes(-size % 4)
    yield _header(b"TRAILER!!!", Node("file", 0), 0, 0)


def _header(name: bytes, node: Node, inode: int, size: int) -> bytes:
    links = 2 if node.kind == "dir" else 1
    fields = (
        inode,
        _TYPES[node.kind] | node.mode if inode else 0,
        node.uid,
        node.gid,
        links,
        min(max(node.mtime, 0), _LARGEST),
        size,
        0,
        0,
        *node.device,
        len(name) + 1,
        0,
    )
    text = b"070701" + b"".join(b"%08x" % field for field in fields) + name + b"\0"
    return text + bytes(-len(text) % 4)
