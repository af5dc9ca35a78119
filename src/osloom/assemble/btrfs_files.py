"""The tree of files of a btrfs: an inode for each, names, attributes and extents."""

import itertools
from collections import defaultdict
from collections.abc import Iterator
from typing import Protocol

import msgspec

from osloom.model import btrfs
from osloom.model.btrfs import Item, Key
from osloom.model.tree import Node, Tree
from osloom.store.blobs import Blobs

_INLINE = 2048
"""Bytes up to which contents are kept in the tree itself, as the kernel does."""
_TYPES = {"file": 1, "dir": btrfs.DIRECTORY, "char": 3, "block": 4, "fifo": 5, "symlink": 7}
_MODES = {
    "file": 0o100000,
    "dir": 0o40000,
    "char": 0o20000,
    "block": 0o60000,
    "fifo": 0o10000,
    "symlink": 0o120000,
}
_MAX_REFERENCES = 4000
"""Bytes of the names of an inode in one directory; more are kept one by one."""


class Extent(msgspec.Struct, frozen=True):
    """A piece of a file, in whole sectors."""

    offset: int
    start: int
    stored: int
    size: int
    compression: int


class Contents(Protocol):
    """Where contents go."""

    piece: int
    """How many bytes it takes at a time."""

    def put(self, data: bytes, *, inode: int, offset: int) -> Iterator[Extent]: ...


class Files:
    """Makes the items of one tree."""

    def __init__(self, tree: Tree, blobs: Blobs, contents: Contents, *, epoch: int) -> None:
        top = Node("dir", 0o755, mtime=epoch)
        self._nodes = {"": top, **tree}
        self._blobs, self._contents = blobs, contents
        self._items: list[Item] = []
        numbers = itertools.count(btrfs.FIRST_INODE)
        self._numbers = {
            path: next(numbers) for path, node in self._nodes.items() if node.kind != "hardlink"
        }
        self._links: dict[int, int] = defaultdict(int)
        self._sizes: dict[int, int] = defaultdict(int)

    def items(self) -> list[Item]:
        """All of them, in order; contents have been put by then."""
        self._add_names()
        for path, number in self._numbers.items():
            self._add_inode(number, self._nodes[path])
        self._items.sort()
        return self._items

    def _add(self, number: int, kind: int, offset: int, data: bytes) -> None:
        self._items.append(Item(Key(number, kind, offset), data))

    def _add_names(self) -> None:
        hashed: dict[tuple[int, int], bytes] = defaultdict(bytes)
        references: dict[tuple[int, int], bytes] = defaultdict(bytes)
        far: dict[tuple[int, int], bytes] = defaultdict(bytes)
        following: dict[int, Iterator[int]] = defaultdict(lambda: itertools.count(2))
        self._add(btrfs.FIRST_INODE, btrfs.INODE_REF, btrfs.FIRST_INODE, btrfs.reference(0, b".."))
        for path, node in self._nodes.items():
            if not path:
                continue
            above, _, last = path.rpartition("/")
            name, parent = last.encode(errors="surrogateescape"), self._numbers[above]
            first = node.target if node.kind == "hardlink" else path
            number, index = self._numbers[first], next(following[parent])
            target = Key(number, btrfs.INODE_ITEM, 0)
            entry = btrfs.entry(target, name, _TYPES[self._nodes[first].kind])
            self._add(parent, btrfs.DIR_INDEX, index, entry)
            hashed[parent, btrfs.name_hash(name)] += entry
            reference = btrfs.reference(index, name)
            if len(references[number, parent]) + len(reference) <= _MAX_REFERENCES:
                references[number, parent] += reference
            else:
                place = btrfs.crc32c(name, parent)
                far[number, place] += btrfs.far_reference(parent, index, name)
            self._links[number] += 1
            self._sizes[parent] += 2 * len(name)
        for kind, found in (
            (btrfs.DIR_ITEM, hashed),
            (btrfs.INODE_REF, references),
            (btrfs.INODE_EXTREF, far),
        ):
            for (number, offset), data in found.items():
                self._add(number, kind, offset, data)

    def _add_inode(self, number: int, node: Node) -> None:
        size, held = self._sizes[number], 0
        if node.kind in ("file", "symlink"):
            size, held = self._add_contents(number, node)
        own = btrfs.inode(
            mode=_MODES[node.kind] | node.mode,
            time=node.mtime,
            size=size,
            held=held,
            links=self._links[number] if node.kind != "dir" else 1,
            owner=(node.uid, node.gid),
            device=node.device,
        )
        self._add(number, btrfs.INODE_ITEM, 0, own)
        attributes: dict[int, bytes] = defaultdict(bytes)
        for text, value in node.xattrs:
            name = text.encode()
            attributes[btrfs.name_hash(name)] += btrfs.entry(Key(0, 0, 0), name, btrfs.XATTR, value)
        for place, data in attributes.items():
            self._add(number, btrfs.XATTR_ITEM, place, data)

    def _add_contents(self, number: int, node: Node) -> tuple[int, int]:
        """The file's size, and what its extents hold of it."""
        if node.kind == "symlink":
            inline = node.target.encode(errors="surrogateescape")
        else:
            assert node.digest is not None
            if node.size > _INLINE:
                return node.size, self._add_extents(number, node)
            inline = self._blobs.read(node.digest)
        if inline:
            self._add(number, btrfs.EXTENT_DATA, 0, btrfs.inline_extent(inline))
        return len(inline), len(inline)

    def _add_extents(self, number: int, node: Node) -> int:
        held = offset = 0
        assert node.digest is not None
        for data in self._blobs.chunks(node.digest, self._contents.piece):
            for one in self._contents.put(data, inode=number, offset=offset):
                item = btrfs.extent(
                    start=one.start,
                    stored=one.stored,
                    size=one.size,
                    compression=one.compression,
                )
                self._add(number, btrfs.EXTENT_DATA, one.offset, item)
                held += one.size
            offset += len(data)
        return held
