"""Check a partition against its dm-verity hashes, as the kernel does while it reads.

veritysetup(8), and the kernel's admin-guide/device-mapper/verity.rst.
"""

import hashlib
import struct
from collections.abc import Iterator

import msgspec

from osloom.base.errors import Error
from osloom.model.blocks import Blocks

_BLOCK = 4096
_HASH = 32
_PER_BLOCK = _BLOCK // _HASH
_SUPERBLOCK = struct.Struct("<8s2I16s32s2IQH6x256s168x")
_MAGIC = b"verity\0\0"
_MOST_BLOCKS = 1 << 40


class Superblock(msgspec.Struct, frozen=True, kw_only=True):
    """What the hash partition says of itself."""

    salt: bytes
    blocks: int
    """Of data, of 4096 bytes each."""


def parse_superblock(hashes: Blocks) -> Superblock:
    """Raises Error where there is none, or one of a kind that osloom does not make."""
    raw = hashes.read(0, _SUPERBLOCK.size)
    magic, version, kind, _, name, data, own, blocks, salt_size, salt = _SUPERBLOCK.unpack(raw)
    if magic != _MAGIC:
        raise Error("it has no dm-verity superblock")
    if (version, kind, name.rstrip(b"\0"), data, own) != (1, 1, b"sha256", _BLOCK, _BLOCK):
        raise Error("its dm-verity hashes are not SHA-256 of blocks of 4096 bytes in format 1")
    if salt_size > len(salt) or not 0 < blocks <= _MOST_BLOCKS:
        raise Error("its dm-verity superblock is broken")
    return Superblock(salt=salt[:salt_size], blocks=blocks)


def hashes_size(hashes: Blocks) -> int:
    """Bytes of the superblock and the tree. Raises Error as `parse_superblock`, and where they are
    more than there are."""
    size = (1 + sum(_levels(parse_superblock(hashes).blocks))) * _BLOCK
    if size > hashes.size:
        raise Error("its dm-verity hashes are cut off")
    return size


def data_hashes(hashes: Blocks) -> tuple[bytes, ...]:
    """Of each block of data; nothing is verified. Raises Error as `hashes_size`, and for a single
    block: its hash is the root hash, and nowhere else."""
    end = hashes_size(hashes)
    count = parse_superblock(hashes).blocks
    if count == 1:
        raise Error("its dm-verity hashes are of a single block")
    # The level over the data is the last.
    size = -(-count // _PER_BLOCK) * _BLOCK
    level = hashes.read(end - size, size)
    return tuple(level[place : place + _HASH] for place in range(0, count * _HASH, _HASH))


def find_damage(data: Blocks, hashes: Blocks, root_hash: str) -> str | None:
    """The first block that is not what `root_hash` stands for; None when all are.

    Raises Error for hashes that cannot be read.
    """
    found = parse_superblock(hashes)
    if found.blocks * _BLOCK > data.size:
        return f"its hashes are for {found.blocks * _BLOCK} bytes, and it has {data.size}"
    start = hashlib.sha256(found.salt)
    expected = bytes.fromhex(root_hash)
    place = _BLOCK
    for count in reversed(_levels(found.blocks)):
        level = hashes.window(place, count * _BLOCK)
        bad = _first_bad(level, expected, start)
        if bad is not None:
            return f"block {place // _BLOCK + bad} of its hashes is not as it was written"
        expected = level.read(0, level.size)
        place += level.size
    bad = _first_bad(data.window(0, found.blocks * _BLOCK), expected, start)
    if bad is not None:
        return f"block {bad}, at byte {bad * _BLOCK} of it, is not as it was written"
    return None


def _levels(blocks: int) -> list[int]:
    """How many blocks each level of the tree has, the level over the data first."""
    levels = []
    while blocks > 1:
        blocks = -(-blocks // _PER_BLOCK)
        levels.append(blocks)
    return levels


def _first_bad(blocks: Blocks, expected: bytes, start: "hashlib._Hash") -> int | None:
    for number, block in enumerate(_in_blocks(blocks)):
        digest = start.copy()
        digest.update(block)
        if digest.digest() != expected[number * _HASH : (number + 1) * _HASH]:
            return number
    return None


def _in_blocks(blocks: Blocks) -> Iterator[memoryview]:
    piece = _PER_BLOCK * _BLOCK
    for place in range(0, blocks.size, piece):
        whole = memoryview(blocks.read(place, min(piece, blocks.size - place)))
        for offset in range(0, len(whole), _BLOCK):
            yield whole[offset : offset + _BLOCK]
