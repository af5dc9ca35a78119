"""Block maps as text."""

import hashlib

from osloom.model.blocks import Blocks
from osloom.model.bmap import Range, make_bmap

_DATA = bytes(range(256)) * 65
"""Four blocks, and a part of one."""
_DISK = Blocks(source=lambda place, size: _DATA[place : place + size], size=len(_DATA))


def _lines(*ranges: Range) -> list[str]:
    return [line.strip() for line in make_bmap(_DISK, ranges).splitlines()]


def test_what_touches_is_one_range_of_whole_blocks() -> None:
    lines = _lines(Range(16400, 16640), Range(5000, 8192), Range(4096, 4097), Range(8192, 8193))
    assert [line for line in lines if line.startswith("<Range")] == [
        f'<Range chksum="{hashlib.sha256(_DATA[4096:12288]).hexdigest()}"> 1-2 </Range>',
        f'<Range chksum="{hashlib.sha256(_DATA[16384:]).hexdigest()}"> 4 </Range>',
    ]
    assert lines[2:7] == [
        "<ImageSize> 16640 </ImageSize>",
        "<BlockSize> 4096 </BlockSize>",
        "<BlocksCount> 5 </BlocksCount>",
        "<MappedBlocksCount> 3 </MappedBlocksCount>",
        "<ChecksumType> sha256 </ChecksumType>",
    ]


def test_checksums_that_are_known_are_taken() -> None:
    text = make_bmap(_DISK, [Range(0, 1), Range(8192, 12000)], {Range(8192, 12288): "known"})
    lines = [line.strip() for line in text.splitlines() if "<Range" in line]
    assert lines == [
        f'<Range chksum="{hashlib.sha256(_DATA[:4096]).hexdigest()}"> 0 </Range>',
        '<Range chksum="known"> 2 </Range>',
    ]


def test_the_file_has_its_own_checksum_taken_over_zeros() -> None:
    text = make_bmap(_DISK, [Range(0, 1)])
    own = text.partition("<BmapFileChecksum> ")[2][:64]
    assert hashlib.sha256(text.replace(own, "0" * 64).encode()).hexdigest() == own
