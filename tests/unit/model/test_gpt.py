"""Partition tables with whole checksums that lie."""

import struct
import zlib
from uuid import UUID

import pytest

from osloom.base.errors import Error
from osloom.model.blocks import Blocks
from osloom.model.gpt import Partition, parse_gpt

_SECTORS = 2048
_ROOT = UUID("4f68bce3-e8cd-4db1-96e7-fbcaf984b709")
_LAST = _SECTORS - 34


def _entry(first: int, last: int, label: str = "root") -> bytes:
    name = label.encode("utf-16-le").ljust(72, b"\0")
    return struct.pack("<16s16sQQQ72s", _ROOT.bytes_le, bytes([1] * 16), first, last, 0, name)


def _disk(
    *entries: bytes, count: int = 128, length: int = 128, usable: tuple[int, int] = (34, _LAST)
) -> Blocks:
    """Both copies of a table, whatever it says."""
    table = b"".join(entries).ljust(128 * 128, b"\0")
    disk = bytearray(_SECTORS * 512)
    for own, other, start in ((1, _SECTORS - 1, 2), (_SECTORS - 1, 1, _SECTORS - 33)):
        sums = zlib.crc32(table[: count * length])
        words = (own, other, *usable, bytes(16), start, count, length, sums)
        head = struct.pack("<8s4sIII4Q16sQIII", b"EFI PART", b"\0\0\1\0", 92, 0, 0, *words)
        head = head[:16] + struct.pack("<I", zlib.crc32(head)) + head[20:]
        disk[own * 512 : own * 512 + 92] = head
        disk[start * 512 : start * 512 + len(table)] = table
    return Blocks(source=lambda place, size: bytes(disk[place : place + size]), size=len(disk))


def test_a_table_is_read() -> None:
    table = parse_gpt(_disk(_entry(40, 79, "a"), bytes(128), _entry(80, 80, "b")))
    assert [(one.number, one.label, one.offset, one.size) for one in table.partitions] == [
        (1, "a", 40 * 512, 40 * 512),
        (3, "b", 80 * 512, 512),
    ]
    assert table.partitions[0] == Partition(
        number=1,
        label="a",
        type="root-x86-64",
        id=UUID(bytes=bytes([1] * 16)),
        offset=20480,
        size=20480,
    )
    assert (table.usable, table.problems) == (range(34 * 512, (_LAST + 1) * 512), ())


@pytest.mark.parametrize(
    ("disk", "cause"),
    [
        (_disk(_entry(40, 79), _entry(60, 90)), "partitions 1 and 2 overlap"),
        (_disk(_entry(79, 40)), "partition 1 has the sectors 79 to 40"),
        (_disk(_entry(40, 1 << 62)), f"partition 1 has the sectors 40 to {1 << 62}"),
        (_disk(_entry(2, 79)), "partition 1 has the sectors 2 to 79"),
        (_disk(count=1 << 31, length=128), "it has 2147483648 entries of 128 bytes"),
        (_disk(count=4, length=0), "it has 4 entries of 0 bytes"),
        (_disk(usable=(34, 1 << 60)), f"partitions may have the sectors 34 to {1 << 60}"),
    ],
)
def test_a_table_that_lies_is_refused(disk: Blocks, cause: str) -> None:
    with pytest.raises(Error) as caught:
        parse_gpt(disk)
    assert caught.value.message == "cannot find the disk's partitions: it has no whole GPT"
    first, second = (
        f"the {name} copy of the partition table: {cause}" for name in ("first", "second")
    )
    assert caught.value.detail.splitlines() == [first, second]


def test_what_is_too_small_for_a_table_has_none() -> None:
    with pytest.raises(Error, match="no whole GPT"):
        parse_gpt(Blocks(source=lambda _place, size: bytes(size), size=100))
