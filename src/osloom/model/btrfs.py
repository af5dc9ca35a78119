"""Structures of btrfs on disk: keys, items, and the blocks of its trees.

https://btrfs.readthedocs.io/en/latest/dev/On-disk-format.html, and `btrfs_tree.h` of Linux. What is
here turns values into bytes; where they lie is the business of who writes a file system.
"""

import hashlib
import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

SECTOR = 4096
NODE = 16384
STRIPE = 65536
GENERATION = 1
"""Of everything: a file system that was never mounted has one transaction."""

ROOT_TREE, EXTENT_TREE, CHUNK_TREE, DEV_TREE, FS_TREE, ROOT_DIR, CSUM_TREE = range(1, 8)
UUID_TREE, FREE_SPACE_TREE = 9, 10
DATA_RELOC_TREE, EXTENT_CSUM = 2**64 - 9, 2**64 - 10
FIRST_INODE = FIRST_CHUNK = 256
DEVICE = 1

INODE_ITEM, INODE_REF, INODE_EXTREF, XATTR_ITEM = 1, 12, 13, 24
DIR_ITEM, DIR_INDEX, EXTENT_DATA, EXTENT_CSUM_ITEM = 84, 96, 108, 128
ROOT_ITEM, EXTENT_ITEM, METADATA_ITEM = 132, 168, 169
TREE_BLOCK_REF, EXTENT_DATA_REF, BLOCK_GROUP_ITEM = 176, 178, 192
FREE_SPACE_INFO, FREE_SPACE_EXTENT = 198, 199
DEV_EXTENT, DEV_ITEM, CHUNK_ITEM, UUID_SUBVOLUME = 204, 216, 228, 251

DATA, SYSTEM, METADATA, DUP = 1, 2, 4, 32
DIRECTORY, XATTR = 2, 8
"""Types of what a directory item names; an extended attribute is kept as one."""

_HEADER = struct.Struct("<16sQQ16sQQIB")
_HEADER_SIZE = 32 + _HEADER.size
_KEY = struct.Struct("<QBQ")
_ITEM = struct.Struct("<QBQII")
_POINTER = struct.Struct("<QBQQQ")
_INODE = struct.Struct("<5Q4I3Q32x" + 4 * "qI")
CAPACITY = NODE - _HEADER_SIZE
"""Bytes of a block for items or pointers."""
_POINTERS = CAPACITY // _POINTER.size

_WRITTEN, _MIXED_BACKREF = 1, 1 << 56
_SHA256 = 2


class Key(NamedTuple):
    """By which the items of a tree are sorted."""

    object: int
    type: int
    offset: int


class Item(NamedTuple):
    key: Key
    data: bytes


class Volume(msgspec.Struct, frozen=True):
    """What every block of a file system repeats."""

    identity: bytes
    chunks: bytes
    """UUID of the chunk tree."""
    device: bytes


class Chunk(msgspec.Struct, frozen=True):
    """A range of logical addresses, and where on the device it lies, once or twice."""

    kind: int
    start: int
    length: int
    stripes: tuple[int, ...]


def _crc_table() -> list[int]:
    table = []
    for number in range(256):
        value = number
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_CRC = _crc_table()


def crc32c(data: bytes, start: int) -> int:
    """As the kernel counts it: nothing is inverted. Only names are hashed so, not contents."""
    value = start & 0xFFFFFFFF
    for byte in data:
        value = _CRC[(value ^ byte) & 0xFF] ^ (value >> 8)
    return value


def name_hash(name: bytes) -> int:
    return crc32c(name, ~1)


def checksums(data: bytes) -> bytes:
    """SHA-256 of each sector: the strongest of the checksums that btrfs knows and Python has."""
    view = memoryview(data)
    return b"".join(
        hashlib.sha256(view[place : place + SECTOR]).digest()
        for place in range(0, len(data), SECTOR)
    )


def inode(
    *,
    mode: int,
    time: int,
    size: int = 0,
    held: int = 0,
    links: int = 1,
    owner: tuple[int, int] = (0, 0),
    device: tuple[int, int] = (0, 0),
) -> bytes:
    """`held`: bytes that its extents have, inline or in whole sectors."""
    number = device[0] << 20 | device[1]
    times = (time, 0) * 4
    fields = (GENERATION, GENERATION, size, held, 0, links, *owner, mode, number, 0, 0, *times)
    return _INODE.pack(*fields)


def entry(target: Key, name: bytes, kind: int, value: bytes = b"") -> bytes:
    """A name in a directory, or an extended attribute."""
    return (
        _KEY.pack(*target)
        + struct.pack("<QHHB", GENERATION, len(value), len(name), kind)
        + name
        + value
    )


def reference(index: int, name: bytes) -> bytes:
    return struct.pack("<QH", index, len(name)) + name


def far_reference(parent: int, index: int, name: bytes) -> bytes:
    return struct.pack("<QQH", parent, index, len(name)) + name


def inline_extent(data: bytes) -> bytes:
    return struct.pack("<QQBBHB", GENERATION, len(data), 0, 0, 0, 0) + data


def extent(*, start: int, stored: int, size: int, compression: int) -> bytes:
    """`size` bytes of a file that are `stored` bytes on disk; both are whole sectors."""
    head = struct.pack("<QQBBHB", GENERATION, size, compression, 0, 0, 1)
    return head + struct.pack("<4Q", start, stored, 0, size)


def data_backref(*, inode: int, offset: int) -> bytes:
    """The extent item of file content that one file has once."""
    head = struct.pack("<QQQB", 1, GENERATION, DATA, EXTENT_DATA_REF)
    return head + struct.pack("<QQQI", FS_TREE, inode, offset, 1)


def block_backref(tree: int) -> bytes:
    return struct.pack("<QQQBQ", 1, GENERATION, 2, TREE_BLOCK_REF, tree)


class Root(msgspec.Struct, frozen=True):
    """Where a tree begins."""

    address: int
    level: int
    blocks: int


def root(place: Root, directory: int = 0, *, uuid: bytes = b"", time: int = 0) -> bytes:
    """`directory` is the inode of the root directory, of a tree that has files."""
    own = inode(mode=0o40755, time=0, size=3, held=NODE)
    sizes = (0, place.blocks * NODE, 0, 0, 1)
    numbers = struct.pack("<7QI", GENERATION, directory, place.address, *sizes)
    state = struct.pack("<17xBBQ16s32x32x", 0, place.level, GENERATION, uuid)
    return own + numbers + state + struct.pack("<QIQI24x64x", time, 0, time, 0)


def chunk(one: Chunk, volume: Volume) -> bytes:
    widths = (STRIPE, STRIPE, SECTOR, len(one.stripes), 1)
    head = struct.pack("<4Q3IHH", one.length, EXTENT_TREE, STRIPE, one.kind, *widths)
    stripes = (struct.pack("<QQ16s", DEVICE, place, volume.device) for place in one.stripes)
    return head + b"".join(stripes)


def device(*, size: int, used: int, volume: Volume) -> bytes:
    numbers = (DEVICE, size, used, SECTOR, SECTOR, SECTOR, 0, 0, 0, 0, 0, 0)
    return struct.pack("<3Q3I3QIBB", *numbers) + volume.device + volume.identity


def device_extent(one: Chunk, volume: Volume) -> bytes:
    numbers = (CHUNK_TREE, FIRST_CHUNK, one.start, one.length)
    return struct.pack("<4Q16s", *numbers, volume.chunks)


def free_space(extents: int) -> bytes:
    return struct.pack("<II", extents, 0)


def block_group(one: Chunk, used: int) -> bytes:
    return struct.pack("<3Q", used, FIRST_CHUNK, one.kind)


Levels = list[list[list[Item]]]
"""The blocks of a tree as items, leaves first; above them an item's data is empty."""


def levels(items: Sequence[Item]) -> Levels:
    """Spread sorted items over as few blocks as hold them."""
    leaves: list[list[Item]] = [[]]
    room = CAPACITY
    for item in items:
        size = _ITEM.size + len(item.data)
        if size > room:
            leaves.append([])
            room = CAPACITY
        leaves[-1].append(item)
        room -= size
    found = [leaves]
    while len(found[-1]) > 1:
        firsts = [Item(block[0].key, b"") for block in found[-1]]
        found.append([firsts[i : i + _POINTERS] for i in range(0, len(firsts), _POINTERS)])
    return found


def count(of: Levels) -> int:
    return sum(len(level) for level in of)


def blocks(
    of: Levels, places: Sequence[Sequence[int]], tree: int, volume: Volume
) -> Iterator[tuple[int, bytes]]:
    """The tree's blocks, each with its address out of `places`, which are by level too."""
    for level, (lists, here) in enumerate(zip(of, places, strict=True)):
        children = iter(places[level - 1] if level else ())
        for place, items in zip(here, lists, strict=True):
            body = _pointers(items, children) if level else _leaf(items)
            numbers = (place, _WRITTEN | _MIXED_BACKREF, volume.chunks, GENERATION, tree)
            head = _HEADER.pack(volume.identity, *numbers, len(items), level)
            yield place, _with_checksum((head + body).ljust(NODE - 32, b"\0"))


def _leaf(items: Sequence[Item]) -> bytes:
    """Heads from the front, data from the end."""
    heads, end = [], CAPACITY
    for key, data in items:
        end -= len(data)
        heads.append(_ITEM.pack(*key, end, len(data)))
    front = b"".join(heads)
    return front + bytes(end - len(front)) + b"".join(item.data for item in reversed(items))


def _pointers(items: Sequence[Item], children: Iterator[int]) -> bytes:
    return b"".join(_POINTER.pack(*item.key, next(children), GENERATION) for item in items)


def _with_checksum(body: bytes) -> bytes:
    return hashlib.sha256(body).digest() + body


class Super(msgspec.Struct, frozen=True, kw_only=True):
    """The superblock's own values."""

    size: int
    used: int
    root: int
    root_level: int
    chunks: int
    chunks_level: int
    label: bytes
    device: bytes
    system: Item
    """Of the chunk that has the chunk tree."""
    zstd: bool


MIRRORS = tuple(64 << 10 if not number else 16 << (10 + 12 * number) for number in range(3))
"""Where superblocks are: no block may."""
SUPER = 4096


def superblock(place: int, one: Super, volume: Volume) -> bytes:
    features = 0x361 | (0x10 if one.zstd else 0)  # as mkfs.btrfs has them, without quotas
    system = _KEY.pack(*one.system.key) + one.system.data
    body = struct.pack("<16sQQ8s", volume.identity, place, _WRITTEN, b"_BHRfS_M")
    body += struct.pack("<5Q", GENERATION, one.root, one.chunks, 0, 0)
    body += struct.pack("<4Q", one.size, one.used, ROOT_DIR, 1)
    body += struct.pack("<5I", SECTOR, NODE, NODE, SECTOR, len(system))
    body += struct.pack("<4Q", GENERATION, 0, 3, features)  # 3: the free space tree is valid
    body += struct.pack("<HBBB", _SHA256, one.root_level, one.chunks_level, 0)
    body += one.device + struct.pack("<256s", one.label) + bytes(8 + 8 + 16 + 8 + 27 * 8)
    return _with_checksum((body + system).ljust(SUPER - 32, b"\0"))
