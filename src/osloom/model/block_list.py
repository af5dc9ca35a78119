"""Which blocks a file of a version consists of, so that a device fetches those that it has not.

A root needs no list of its own: its dm-verity hashes are one (`model.verity`). For a UKI there is
`NAME.blocks`. Blocks have 4096 bytes; the first may be shorter, so that others begin where the
section `.linux` does: with the kernel and the initrd behind it they are the same wherever that
section lies. All numbers are little-endian.

    8 bytes    the size of the file
    8 bytes    the size of the first block
    8 bytes    of each block: the beginning of its SHA-256
"""

import hashlib
import struct
from collections.abc import Sequence

import msgspec

from osloom.base.errors import Error
from osloom.model.blocks import Blocks
from osloom.model.pe import parse_program
from osloom.model.verity_check import data_hashes

BLOCK = 4096
_HEAD = struct.Struct("<QQ")
_DIGEST = 8
_KERNEL = ".linux"
_FEW = 8
"""So many blocks that a device has are fetched with those around them: a request takes its time."""


class BlockList(msgspec.Struct, frozen=True, kw_only=True):
    size: int
    """Bytes of the file."""
    first: int
    """Bytes of its first block."""
    digests: tuple[bytes, ...]

    def place(self, number: int) -> int:
        """Where a block begins; behind the last, the end."""
        return min(self.first + (number - 1) * BLOCK, self.size) if number else 0


def uki_blocks(uki: Blocks) -> BlockList:
    """Raises Error when it is no PE file."""
    kernel = parse_program(uki).sections.get(_KERNEL)
    first = ((kernel.start - uki.start) % BLOCK if kernel else 0) or BLOCK
    ends = [*range(first, uki.size, BLOCK), uki.size]
    digests = [
        hashlib.sha256(uki.read(place, end - place)).digest()[:_DIGEST]
        for place, end in zip([0, *ends], ends, strict=False)
    ]
    return BlockList(size=uki.size, first=first, digests=tuple(digests))


def root_blocks(hashes: Blocks) -> BlockList:
    """By its dm-verity hashes. Raises Error for what cannot be read as such."""
    digests = data_hashes(hashes)
    return BlockList(size=len(digests) * BLOCK, first=BLOCK, digests=digests)


def format_list(blocks: BlockList) -> bytes:
    """As a file; see the module."""
    return b"".join([_HEAD.pack(blocks.size, blocks.first), *blocks.digests])


def parse_list(data: bytes) -> BlockList:
    """Raises Error for what `format_list` does not write."""
    rest = data[_HEAD.size :]
    if len(data) <= _HEAD.size or len(rest) % _DIGEST:
        raise Error("it is no list of blocks: it is cut off")
    size, first = _HEAD.unpack_from(data)
    count = len(rest) // _DIGEST
    if not 0 < first <= BLOCK or not (count - 2) * BLOCK < size - first <= (count - 1) * BLOCK:
        raise Error("it is no list of blocks: its sizes do not go together")
    digests = tuple(rest[at : at + _DIGEST] for at in range(0, len(rest), _DIGEST))
    return BlockList(size=size, first=first, digests=digests)


def missing(old: BlockList, new: BlockList) -> list[tuple[int, int]]:
    """The byte ranges of the new file, `(begin, end)`, that a device with the old one fetches."""
    places: dict[bytes, int] = {}
    for number, digest in enumerate(old.digests):
        places.setdefault(digest, number)
    runs: list[tuple[bool, int]] = []
    expected = 0
    for digest in new.digests:
        is_there = digest in places
        goes_on = expected < len(old.digests) and old.digests[expected] == digest
        if runs and runs[-1][0] == is_there and (goes_on or not is_there):
            runs[-1] = (is_there, runs[-1][1] + 1)
        else:
            runs.append((is_there, 1))
            expected = places.get(digest, 0)
        expected += is_there
    return _ranges(new, runs)


def _ranges(new: BlockList, runs: Sequence[tuple[bool, int]]) -> list[tuple[int, int]]:
    """`runs` of blocks are there or not, and so many."""
    found: list[tuple[int, int]] = []
    at = 0
    for is_there, count in runs:
        is_next = bool(found) and found[-1][1] == at
        if not is_there or (count < _FEW and is_next):
            begin = found.pop()[0] if is_next else at
            found.append((begin, at + count))
        at += count
    return [(new.place(begin), new.place(end)) for begin, end in found]
