"""A block map: which blocks of a disk have to be written to a device, with their checksums.

Format 2.0, bmaptool(1); https://github.com/yoctoproject/bmaptool, bmaptool/BmapCreate.py.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

import msgspec

from osloom.model.blocks import Blocks

BLOCK = 4096
_PIECE = 1 << 20
_NO_CHECKSUM = "0" * 64


class Range(msgspec.Struct, frozen=True, order=True):
    """Bytes of a disk."""

    start: int
    end: int
    """The first byte behind them."""


NOTHING_KNOWN: Mapping[Range, str] = MappingProxyType({})


def make_bmap(
    disk: Blocks, ranges: Iterable[Range], known: Mapping[Range, str] = NOTHING_KNOWN
) -> str:
    """The map of a disk of which just `ranges` matter, in any order; whole blocks are mapped.

    `known` has the checksums, SHA-256 in hexadecimal digits, of bytes that need not be read again.
    """
    mapped = tuple(_in_blocks(ranges, disk.size))
    lines = "".join(
        f'        <Range chksum="{known.get(_in_bytes(one)) or _digest(disk, one)}"> {_name(one)} </Range>\n'
        for one in mapped
    )
    text = f"""<?xml version="1.0" ?>
<bmap version="2.0">
    <ImageSize> {disk.size} </ImageSize>
    <BlockSize> {BLOCK} </BlockSize>
    <BlocksCount> {-(-disk.size // BLOCK)} </BlocksCount>
    <MappedBlocksCount> {sum(one.end - one.start for one in mapped)} </MappedBlocksCount>
    <ChecksumType> sha256 </ChecksumType>
    <BmapFileChecksum> {_NO_CHECKSUM} </BmapFileChecksum>
    <BlockMap>
{lines}    </BlockMap>
</bmap>
"""
    # The checksum of the file is taken with zeros in the checksum's own place.
    return text.replace(_NO_CHECKSUM, hashlib.sha256(text.encode()).hexdigest(), 1)


def _in_blocks(ranges: Iterable[Range], size: int) -> Iterator[Range]:
    """As numbers of blocks; those that touch are one."""
    current: Range | None = None
    for one in sorted(ranges):
        start, end = one.start // BLOCK, -(-min(one.end, size) // BLOCK)
        if current is not None and start <= current.end:
            current = Range(current.start, max(current.end, end))
        else:
            if current is not None:
                yield current
            current = Range(start, end)
    if current is not None:
        yield current


def _in_bytes(blocks: Range) -> Range:
    return Range(blocks.start * BLOCK, blocks.end * BLOCK)


def _digest(disk: Blocks, blocks: Range) -> str:
    found = hashlib.sha256()
    end = min(blocks.end * BLOCK, disk.size)
    for place in range(blocks.start * BLOCK, end, _PIECE):
        found.update(disk.read(place, min(_PIECE, end - place)))
    return found.hexdigest()


def _name(blocks: Range) -> str:
    last = blocks.end - 1
    return str(last) if last == blocks.start else f"{blocks.start}-{last}"
