"""A partition table that is written: partitions one after the other, GPT, UEFI 2.10, 5.3.

Byte for byte what systemd-repart(8) makes of the same partitions on an empty file, from 4 MiB on.
"""

import struct
import zlib
from collections.abc import Sequence
from uuid import UUID

import msgspec

from osloom.base.errors import Error
from osloom.model.gpt import ENTRY, HEADER, LONGEST_LABEL, SIGNATURE, TYPES, Partition, Table
from osloom.model.size import MIB

READ_ONLY, GROWS, NO_AUTO = 1 << 60, 1 << 59, 1 << 63
"""Attributes of the Discoverable Partitions Specification; `GROWS` is for the file system."""

_SECTOR = 512
_GRAIN = 4096
"""To which partitions are aligned."""
_ENTRIES = 128
_COPY = 1 + _ENTRIES * ENTRY.size // _SECTOR
"""Sectors of a header and its entries."""
_NAMES = {name: identity for identity, name in TYPES.items()}
_PROTECTIVE = 0xEE


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A partition before it has a place."""

    type: str
    """As repart.d(5) names it."""
    label: str
    id: UUID
    size: int
    """Bytes; rounded up to whole pages."""
    attributes: int = 0


def lay_out(
    wanted: Sequence[Wanted], *, identity: UUID, size: int | None = None
) -> tuple[Table, int]:
    """The table of a disk of `size` bytes, or just what it takes, with `wanted` in it; and its size.

    Raises Error where they do not fit.
    """
    place, made = MIB, []
    for number, one in enumerate(wanted, 1):
        room = _aligned(one.size)
        made.append(
            Partition(
                number=number,
                label=one.label,
                type=one.type,
                id=one.id,
                offset=place,
                size=room,
                attributes=one.attributes,
            )
        )
        place += room
    least = _aligned(place + _COPY * _SECTOR)
    if size is not None and size < least:
        raise Error(f"cannot fit {least >> 20} MiB of partitions into a disk of {size >> 20} MiB")
    whole = _aligned(size or least)
    usable = range(MIB, (whole // _SECTOR - _COPY) * _SECTOR)
    return Table(id=identity, sector=_SECTOR, usable=usable, partitions=tuple(made)), whole


def write_gpt(table: Table, size: int) -> dict[int, bytes]:
    """What lies where on a disk of `size` bytes, by offsets in bytes."""
    last = size // _SECTOR - 1
    entries = b"".join(_entry(one) for one in table.partitions).ljust(_ENTRIES * ENTRY.size, b"\0")
    first = _header(table, entries, own=1, other=last, start=2)
    second = _header(table, entries, own=last, other=1, start=last - _COPY + 1)
    return {
        0: _protective(last) + first + entries,
        (last - _COPY + 1) * _SECTOR: entries + second,
    }


def _entry(one: Partition) -> bytes:
    label = one.label.encode("utf-16-le")
    if len(label) > 2 * LONGEST_LABEL:
        raise Error(
            f"cannot label a partition `{one.label}`: it may have {LONGEST_LABEL} characters"
        )
    first = one.offset // _SECTOR
    last = first + one.size // _SECTOR - 1
    kind = _NAMES[one.type].bytes_le
    return ENTRY.pack(kind, one.id.bytes_le, first, last, one.attributes, label)


def _header(table: Table, entries: bytes, *, own: int, other: int, start: int) -> bytes:
    def packed(checksum: int) -> bytes:
        return HEADER.pack(
            SIGNATURE,
            b"\0\0\1\0",
            HEADER.size,
            checksum,
            0,
            own,
            other,
            table.usable.start // _SECTOR,
            table.usable.stop // _SECTOR - 1,
            table.id.bytes_le,
            start,
            _ENTRIES,
            ENTRY.size,
            zlib.crc32(entries),
        )

    return packed(zlib.crc32(packed(0))).ljust(_SECTOR, b"\0")


def _protective(last: int) -> bytes:
    """The MBR that shows the disk as full to who knows no GPT."""
    entry = struct.pack(
        "<B3sB3sII", 0, b"\0\2\0", _PROTECTIVE, b"\xff" * 3, 1, min(last, 2**32 - 1)
    )
    return bytes(446) + entry + bytes(3 * 16) + b"\x55\xaa"


def _aligned(size: int) -> int:
    return -(-size // _GRAIN) * _GRAIN
