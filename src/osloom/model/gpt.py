"""The partition table of a disk: GPT, UEFI 2.10, 5.3.

A disk holds it twice, at its begin and at its end, each with checksums.
"""

import struct
import zlib
from collections.abc import Sequence
from itertools import pairwise
from uuid import UUID

import msgspec

from osloom.base.errors import Error
from osloom.model.blocks import Blocks

HEADER = struct.Struct("<8s4sIII4Q16sQIII")
ENTRY = struct.Struct("<16s16sQQQ72s")
SIGNATURE = b"EFI PART"
_SECTORS = (512, 4096)
_MOST_ENTRIES = 4096
_UNUSED = bytes(16)

LONGEST_LABEL = 36
"""Characters of a partition's label, UEFI 2.10, 5.3.3: units of UTF-16."""
EMPTY = "_empty"
"""Label of a slot that holds no version, sysupdate.d(5)."""

TYPES = {
    UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b"): "esp",
    UUID("bc13c2ff-59e6-4262-a352-b275fd6f7172"): "xbootldr",
    UUID("4f68bce3-e8cd-4db1-96e7-fbcaf984b709"): "root-x86-64",
    UUID("2c7357ed-ebd2-46d9-aec1-23d437ec2bf5"): "root-x86-64-verity",
    UUID("41092b05-9fc8-4523-994f-2def0408b176"): "root-x86-64-verity-sig",
    UUID("8484680c-9521-48c6-9c11-b0720656f69e"): "usr-x86-64",
    UUID("77ff5f63-e7b6-4633-acf4-1565b864c0e6"): "usr-x86-64-verity",
    UUID("e7bb33fb-06cf-4e81-8273-e543b413e2e2"): "usr-x86-64-verity-sig",
    UUID("b921b045-1df0-41c3-af44-4c6f280d3fae"): "root-arm64",
    UUID("df3300ce-d69f-4c92-978c-9bfb0f38d820"): "root-arm64-verity",
    UUID("6db69de6-29f4-4758-a7a5-962190f00ce3"): "root-arm64-verity-sig",
    UUID("b0e01050-ee5f-4390-949a-9101b17104e9"): "usr-arm64",
    UUID("6e11a4e7-fbca-4ded-b9e9-e1a512bb664e"): "usr-arm64-verity",
    UUID("c23ce4ff-44bd-4b00-b2d4-b41b3419e02a"): "usr-arm64-verity-sig",
    UUID("0fc63daf-8483-4772-8e79-3d69d8477de4"): "linux-generic",
    UUID("4d21b016-b534-45c2-a9fb-5c16e091fd2d"): "var",
    UUID("933ac7e1-2eb4-4f13-b844-0e14e2aef915"): "home",
    UUID("3b8f8425-20e0-4f3b-907f-1a25a76f98e8"): "srv",
    UUID("0657fd6d-a4ab-43c4-84e5-0933c84b4f4f"): "swap",
}
"""Names of repart.d(5);
https://uapi-group.org/specifications/specs/discoverable_partitions_specification/"""


class Partition(msgspec.Struct, frozen=True, kw_only=True):
    number: int
    """From 1 on, as the kernel counts."""
    label: str
    type: str
    """As repart.d(5) names it, or its UUID."""
    id: UUID
    offset: int
    size: int
    attributes: int = 0


class Table(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    sector: int
    """Bytes."""
    usable: range
    """The bytes that partitions may have; the table lies before and behind them."""
    partitions: tuple[Partition, ...]
    problems: tuple[str, ...] = ()
    """What is wrong with one copy of the table while the other is whole."""


def parse_gpt(disk: Blocks) -> Table:
    """The table, from its first copy, or from the second where the first is broken.

    Raises Error with what is wrong when neither is whole, and for partitions that lie outside the
    disk or over each other.
    """
    sector = _sector_size(disk)
    last = disk.size // sector - 1
    tables, problems = [], []
    place = last
    for name in ("first", "second"):
        try:
            table, other = _parse_copy(disk, 1 if name == "first" else place, sector)
        except Error as error:
            problems.append(f"the {name} copy of the partition table: {error.message}")
            continue
        tables.append(table)
        place = other
        if name == "first" and other != last:
            problems.append("the second copy of the partition table is not at the disk's end")
    if not tables:
        raise Error(
            "cannot find the disk's partitions: it has no whole GPT",
            hint="is it the image of a disk, raw or qcow2?",
            detail="\n".join(problems),
        )
    if len(tables) == 2 and tables[0] != tables[1]:
        problems.append("the two copies of the partition table differ")
    return msgspec.structs.replace(tables[0], problems=tuple(problems))


def _sector_size(disk: Blocks) -> int:
    for size in _SECTORS:
        if disk.size >= 3 * size and disk.read(size, 8) == SIGNATURE:
            return size
    return _SECTORS[0]


def _parse_copy(disk: Blocks, place: int, sector: int) -> tuple[Table, int]:
    """The copy whose header is in the sector `place`; in which sector it says that the other is."""
    head = disk.read(place * sector, sector)
    (
        signature,
        _,
        size,
        checksum,
        _,
        own,
        other,
        first,
        last,
        identity,
        start,
        count,
        length,
        sums,
    ) = HEADER.unpack_from(head)
    if signature != SIGNATURE:
        raise Error("it is not there")
    if not HEADER.size <= size <= sector:
        raise Error(f"its header has {size} bytes")
    if zlib.crc32(head[:16] + bytes(4) + head[20:size]) != checksum:
        raise Error("the checksum of its header is wrong")
    if own != place:
        raise Error(f"it is at sector {place} and says {own}")
    if length < ENTRY.size or length % 8 or length > sector or count > _MOST_ENTRIES:
        raise Error(f"it has {count} entries of {length} bytes")
    if not first <= last < disk.size // sector:
        raise Error(f"partitions may have the sectors {first} to {last}")
    entries = disk.read(start * sector, count * length)
    if zlib.crc32(entries) != sums:
        raise Error("the checksum of its entries is wrong")
    partitions = [
        _parse_entry(number, entries[place : place + length], sector, (first, last))
        for number, place in enumerate(range(0, count * length, length), 1)
        if entries[place : place + 16] != _UNUSED
    ]
    _check_overlap(partitions)
    if partitions and max(one.offset + one.size for one in partitions) > disk.size:
        raise Error("a partition lies behind the end of the disk")
    table = Table(
        id=UUID(bytes_le=identity),
        sector=sector,
        usable=range(first * sector, (last + 1) * sector),
        partitions=tuple(partitions),
    )
    return table, other


def _parse_entry(number: int, entry: bytes, sector: int, usable: tuple[int, int]) -> Partition:
    kind, identity, first, last, attributes, label = ENTRY.unpack_from(entry)
    if not usable[0] <= first <= last <= usable[1]:
        raise Error(f"partition {number} has the sectors {first} to {last}")
    known = UUID(bytes_le=kind)
    return Partition(
        number=number,
        label=label.decode("utf-16-le", errors="replace").partition("\0")[0],
        type=TYPES.get(known, str(known)),
        id=UUID(bytes_le=identity),
        offset=first * sector,
        size=(last - first + 1) * sector,
        attributes=attributes,
    )


def _check_overlap(partitions: Sequence[Partition]) -> None:
    for one, following in pairwise(sorted(partitions, key=lambda each: each.offset)):
        if one.offset + one.size > following.offset:
            raise Error(f"partitions {one.number} and {following.number} overlap")
