"""dm-verity: the hashes that a read-only partition is checked against while it is read.

Format 1 with SHA-256 and blocks of 4096 bytes: a superblock, then a tree of salted hashes, its root
first; veritysetup(8), and the kernel's admin-guide/device-mapper/verity.rst. The digest of the
first block of the tree, the root hash, stands for the whole partition.
"""

import hashlib
import struct
import uuid
from collections.abc import Iterable, Iterator

import msgspec

from osloom.base.errors import Error

BLOCK = 4096
SIGNATURE_SIZE = 16 << 10
"""Bytes of a partition with the signature of a root hash, repart.d(5)."""
_HASH = 32
_PER_BLOCK = BLOCK // _HASH
_SUPERBLOCK = struct.Struct("<8s2I16s32s2IQH6x256s168x")
_MAGIC = b"verity\0\0"


class Verity(msgspec.Struct, frozen=True, kw_only=True):
    """The hashes of one partition."""

    root_hash: str
    """64 hexadecimal digits."""
    hashes: bytes
    """What the hash partition holds: superblock and tree."""

    @property
    def data_id(self) -> uuid.UUID:
        """Id of the partition with the data, by which systemd finds it for a root hash;
        systemd-veritysetup-generator(8)."""
        return uuid.UUID(self.root_hash[:32])

    @property
    def hash_id(self) -> uuid.UUID:
        """Id of the partition with the hashes."""
        return uuid.UUID(self.root_hash[32:])


def hash_partition_size(size: int) -> int:
    """Bytes of superblock and tree for `size` bytes of data."""
    blocks = -(-size // BLOCK)
    total = 1
    while blocks > 1:
        blocks = -(-blocks // _PER_BLOCK)
        total += blocks
    return total * BLOCK


def make_verity(
    chunks: Iterable[bytes | memoryview], *, salt: bytes, identity: uuid.UUID
) -> Verity:
    """The hashes of what `chunks` hold, which has to be whole blocks; `salt` is at most 256 bytes.

    Raises Error for data that ends within a block.
    """
    start = hashlib.sha256(salt)
    level = bytearray()
    for block in _blocks(chunks):
        digest = start.copy()
        digest.update(block)
        level += digest.digest()
    count = len(level) // _HASH
    levels = []
    while len(level) > _HASH:
        level += bytes(-len(level) % BLOCK)
        levels.append(level)
        above = bytearray()
        for place in range(0, len(level), BLOCK):
            digest = start.copy()
            digest.update(memoryview(level)[place : place + BLOCK])
            above += digest.digest()
        level = above
    head = _SUPERBLOCK.pack(
        _MAGIC, 1, 1, identity.bytes, b"sha256", BLOCK, BLOCK, count, len(salt), salt
    )
    return Verity(
        root_hash=level.hex(), hashes=b"".join([head.ljust(BLOCK, b"\0"), *reversed(levels)])
    )


def _blocks(chunks: Iterable[bytes | memoryview]) -> Iterator[memoryview]:
    rest = b""
    for chunk in chunks:
        data = memoryview(b"".join((rest, chunk)) if rest else chunk)
        whole = len(data) - len(data) % BLOCK
        for place in range(0, whole, BLOCK):
            yield data[place : place + BLOCK]
        rest = bytes(data[whole:])
    if rest:
        raise Error(f"cannot hash a partition that ends within a block of {BLOCK} bytes")
