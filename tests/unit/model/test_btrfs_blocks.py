"""Blocks of btrfs, as the kernel's headers and mkfs.btrfs have them."""

import hashlib
import struct

from osloom.model import btrfs
from osloom.model.btrfs import Chunk, Item, Key, Root, Volume

VOLUME = Volume(b"i" * 16, b"c" * 16, b"d" * 16)


def test_names_hash_as_in_a_directory_of_mkfs_btrfs() -> None:
    assert btrfs.name_hash(b"default") == 2378154706
    assert btrfs.name_hash(b"big") == 3904007803


def test_structures_have_the_sizes_of_the_kernel_s_header() -> None:
    chunk = Chunk(btrfs.METADATA | btrfs.DUP, 1 << 20, 1 << 20, (1 << 20, 2 << 20))
    sizes = {
        "inode": len(btrfs.inode(mode=0, time=-1)),
        "root": len(btrfs.root(Root(0, 0, 1))),
        "chunk": len(btrfs.chunk(chunk, VOLUME)),
        "device": len(btrfs.device(size=0, used=0, volume=VOLUME)),
        "device extent": len(btrfs.device_extent(chunk, VOLUME)),
        "block group": len(btrfs.block_group(chunk, 0)),
        "extent": len(btrfs.extent(start=0, stored=0, size=0, compression=0)),
        "data backref": len(btrfs.data_backref(inode=0, offset=0)),
        "block backref": len(btrfs.block_backref(1)),
        "entry": len(btrfs.entry(Key(0, 0, 0), b"name", 1)),
        "reference": len(btrfs.reference(0, b"name")),
        "inline": len(btrfs.inline_extent(b"text")),
    }
    assert sizes == {
        "inode": 160,
        "root": 439,
        "chunk": 112,
        "device": 98,
        "device extent": 48,
        "block group": 24,
        "extent": 53,
        "data backref": 53,
        "block backref": 33,
        "entry": 34,
        "reference": 14,
        "inline": 25,
    }


def test_items_fill_a_block_to_the_last_byte() -> None:
    whole = Item(Key(1, 1, 0), bytes(btrfs.CAPACITY - 25))
    assert [len(level) for level in btrfs.levels([whole])] == [1]
    assert [len(level) for level in btrfs.levels([whole, Item(Key(1, 1, 1), b"")])] == [2, 1]
    assert btrfs.levels([]) == [[[]]]


def test_a_node_points_at_its_leaves_by_their_first_keys() -> None:
    items = [Item(Key(number, 1, 0), bytes(16000)) for number in (7, 8)]
    made = dict(btrfs.blocks(btrfs.levels(items), [[100, 200], [300]], 5, VOLUME))
    top = made[300]
    assert list(made) == [100, 200, 300]
    assert {len(block) for block in made.values()} == {btrfs.NODE}
    assert top[:32] == hashlib.sha256(top[32:]).digest()
    assert struct.unpack_from("<IB", top, 96) == (2, 1)
    pointers = [struct.unpack_from("<QBQQQ", top, 101 + 33 * place) for place in (0, 1)]
    assert pointers == [(7, 1, 0, 100, 1), (8, 1, 0, 200, 1)]


def test_superblocks_are_where_the_kernel_looks() -> None:
    assert btrfs.MIRRORS == (64 << 10, 64 << 20, 256 << 30)
