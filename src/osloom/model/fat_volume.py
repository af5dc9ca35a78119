"""A FAT32 file system that holds just some files: Microsoft's specification 1.03, with long names.

Each file lies in one piece, in the order they are given. Nothing in it is of the day it was made:
times are those that the volume has. `model.fat` reads it.
"""

import math
import struct
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from osloom.base.errors import Error

_SECTOR = 512
_LEAST_CLUSTERS = 65525
"""With fewer a driver takes it for FAT16."""
_CLUSTER_SECTORS = (8, 4, 2, 1)
_RESERVED = 32
_FATS = 2
_GRAIN = 8
"""Sectors: content begins at a whole page, as the partition does."""
_ROOT = 2
_END = 0x0FFFFFFF
_MEDIA = 0x0FFFFFF8
_DIRECTORY, _ARCHIVE, _VOLUME, _LONG = 0x10, 0x20, 0x08, 0x0F
_ENTRY = struct.Struct("<11sBBBHHHHHHHI")
_LONG_UNITS = 13
"""Characters of a long name that one entry holds."""
_SHORT = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-~!#$%&'()@^`{}")
_MOST_ENTRIES = 65536
_FIRST, _LAST = 315532800, 4354819199
"""1980 to 2107, what its times can say; seconds since 1970."""
_BOOT_CODE = b"\xcd\x18\xf4\xeb\xfd"
"""A BIOS that starts it is told to try the next device: int 0x18, then halt for ever."""


class Volume(msgspec.Struct, frozen=True, kw_only=True):
    """What a file system is, beside its files."""

    size: int
    """Bytes."""
    label: str
    """At most eleven characters, upper case."""
    serial: int
    """32 bits."""
    epoch: int
    """The time of all that is in it, seconds since 1970."""


class Laid(msgspec.Struct, frozen=True, kw_only=True):
    """Where on the volume what goes; all else is zeros. Offsets are in bytes."""

    tables: tuple[tuple[int, bytes], ...]
    places: Mapping[str, int]
    """Of each file that is not empty, where its content begins."""


class _Geometry(msgspec.Struct, frozen=True, kw_only=True):
    """In sectors."""

    total: int
    cluster: int
    reserved: int
    table: int

    @property
    def data(self) -> int:
        return self.reserved + _FATS * self.table

    @property
    def clusters(self) -> int:
        return (self.total - self.data) // self.cluster

    def offset(self, cluster: int) -> int:
        """In bytes."""
        return (self.data + (cluster - _ROOT) * self.cluster) * _SECTOR


def lay_out(volume: Volume, files: Mapping[str, int]) -> Laid:
    """The volume with `files`: sizes in bytes by their paths, parts separated by `/`.

    Raises Error where they do not fit, and for names that the file system cannot hold.
    """
    geometry = _geometry(volume.size)
    size = geometry.cluster * _SECTOR
    children = _children(files)
    counts = {
        path: max(1, math.ceil(_entries(names, is_root=not path) * 32 / size))
        for path, names in children.items()
    }
    counts |= {path: math.ceil(length / size) for path, length in files.items()}
    starts, free = {}, _ROOT
    for path, count in counts.items():
        starts[path] = free if count else 0
        free += count
    if free - _ROOT > geometry.clusters:
        needed, room = (free - _ROOT) * size, geometry.clusters * size
        raise Error(f"cannot fit {needed >> 20} MiB into a FAT file system of {room >> 20} MiB")
    stamp = _stamp(volume.epoch)
    directories = (
        (
            geometry.offset(starts[path]),
            b"".join(_directory(path, names, files, starts, stamp, volume.label)),
        )
        for path, names in children.items()
    )
    table = _table(counts.values())
    head = _head(volume, geometry, free)
    copies = ((geometry.reserved + one * geometry.table) * _SECTOR for one in range(_FATS))
    return Laid(
        tables=((0, head), *((place, table) for place in copies), *directories),
        places={path: geometry.offset(starts[path]) for path, length in files.items() if length},
    )


def _geometry(size: int) -> _Geometry:
    """With the largest clusters, up to a page, of which there are enough."""
    total = size // _SECTOR
    for cluster in _CLUSTER_SECTORS:
        # Four bytes of each table for every cluster, and two clusters that are none.
        table = math.ceil((total // cluster + _ROOT) * 4 / _SECTOR)
        reserved = _RESERVED + -(_RESERVED + _FATS * table) % _GRAIN
        made = _Geometry(total=total, cluster=cluster, reserved=reserved, table=table)
        if made.clusters >= _LEAST_CLUSTERS:
            return made
    least = (_LEAST_CLUSTERS + 2 * _LEAST_CLUSTERS // 64) * _SECTOR
    raise Error(
        f"cannot make a FAT32 file system of {size >> 20} MiB: it needs {-(-least >> 20)} at least"
    )


def _children(files: Iterable[str]) -> dict[str, list[str]]:
    """The names in each directory, the root's first; directories by their paths."""
    found: dict[str, list[str]] = {"": []}
    for path in files:
        parent = ""
        *parts, name = path.split("/")
        for part in parts:
            below = f"{parent}/{part}".lstrip("/")
            if below not in found:
                found[below] = []
                found[parent].append(part)
            parent = below
        found[parent].append(name)
    return found


def _entries(names: Sequence[str], *, is_root: bool) -> int:
    """The label, or `.` and `..`; and at the end one of zeros."""
    own = sum(1 + _long_entries(name) for name in names) + (1 if is_root else 2) + 1
    if own > _MOST_ENTRIES:
        raise Error(f"cannot put {len(names)} files into one directory of a FAT file system")
    return own


def _long_entries(name: str) -> int:
    return 0 if _is_short(name) else math.ceil(len(_units(name)) / _LONG_UNITS)


def _is_short(name: str) -> bool:
    base, dot, more = name.partition(".")
    fits = 1 <= len(base) <= 8 and (1 <= len(more) <= 3 if dot else not more)
    return fits and set(base + more) <= _SHORT


def _units(name: str) -> list[int]:
    """UTF-16. Raises Error for what no name may be."""
    raw = name.encode("utf-16-le", "surrogatepass")
    units = list(struct.unpack(f"<{len(raw) // 2}H", raw))
    if (
        not 1 <= len(units) <= 255
        or set(name) & set('"*:<>?\\|')
        or not 32 <= min(units) <= max(units) < 0xFFFF
    ):
        raise Error(f"cannot call a file {name!r} in a FAT file system")
    return units


def _directory(
    path: str,
    names: Sequence[str],
    files: Mapping[str, int],
    starts: Mapping[str, int],
    stamp: tuple[int, int],
    label: str,
) -> Iterator[bytes]:
    if path:
        # Of the root `..` says 0, whatever cluster it has.
        parent = path.rpartition("/")[0]
        for own, start in ((b".", starts[path]), (b"..", starts[parent] if parent else 0)):
            yield _entry(own.ljust(11), _DIRECTORY, stamp, start, 0)
    else:
        yield _entry(label.encode("ascii").ljust(11), _VOLUME, stamp, 0, 0)
    taken: set[bytes] = set()
    for name in names:
        below = f"{path}/{name}".lstrip("/")
        short = _short(name, taken)
        taken.add(short)
        yield from _long(name, short)
        kind = _ARCHIVE if below in files else _DIRECTORY
        yield _entry(short, kind, stamp, starts[below], files.get(below, 0))


def _entry(name: bytes, kind: int, stamp: tuple[int, int], start: int, size: int) -> bytes:
    day, time = stamp
    return _ENTRY.pack(
        name, kind, 0, 0, time, day, day, start >> 16, time, day, start & 0xFFFF, size
    )


def _short(name: str, taken: set[bytes]) -> bytes:
    """The name of eleven bytes; of a long one an alias that nobody else has."""
    if _is_short(name):
        base, _, more = name.partition(".")
        return f"{base:8}{more:3}".encode()
    base, _, more = name.upper().rpartition(".") if "." in name[1:] else (name.upper(), "", "")
    base, more = ("".join(one for one in text if one in _SHORT) for text in (base, more))
    for number in range(1, _MOST_ENTRIES):
        tail = f"~{number}"
        alias = f"{base[: 8 - len(tail)] + tail:8}{more[:3]:3}".encode()
        if alias not in taken:
            return alias
    raise AssertionError(name)


def _long(name: str, short: bytes) -> Iterator[bytes]:
    """The entries before that of `short`: the name's end first."""
    count = _long_entries(name)
    if not count:
        return
    units = _units(name)
    padded = [*units, 0, *[0xFFFF] * _LONG_UNITS][: count * _LONG_UNITS]
    check = 0
    for byte in short:
        check = ((check & 1) << 7) + (check >> 1) + byte & 0xFF
    for number in range(count, 0, -1):
        part = padded[(number - 1) * _LONG_UNITS : number * _LONG_UNITS]
        order = number | (0x40 if number == count else 0)
        yield struct.pack(
            "<B5HBBB6HH2H", order, *part[:5], _LONG, 0, check, *part[5:11], 0, *part[11:]
        )


def _stamp(epoch: int) -> tuple[int, int]:
    """Date and time, the latter in steps of two seconds."""
    when = datetime.fromtimestamp(min(max(epoch, _FIRST), _LAST), UTC)
    day = when.year - 1980 << 9 | when.month << 5 | when.day
    return day, when.hour << 11 | when.minute << 5 | when.second // 2


def _table(counts: Iterable[int]) -> bytes:
    """The allocation table: what lies in one piece names the next cluster, the last an end."""
    found = array("I", [_MEDIA, _END])
    for count in counts:
        if count:
            found.extend(range(len(found) + 1, len(found) + count))
            found.append(_END)
    assert found.itemsize == 4
    return struct.pack(f"<{len(found)}I", *found)


def _head(volume: Volume, geometry: _Geometry, free: int) -> bytes:
    """The boot sector and what is free, twice."""
    boot = bytearray(_SECTOR)
    struct.pack_into(
        "<3s8sHBHBHHBHHHIIIHHIHH12xBxBI11s8s",
        boot,
        0,
        b"\xeb\x58\x90",
        b"osloom  ",
        _SECTOR,
        geometry.cluster,
        geometry.reserved,
        _FATS,
        0,
        0,
        0xF8,
        0,
        63,
        255,
        0,
        geometry.total,
        geometry.table,
        0,
        0,
        _ROOT,
        1,
        6,
        0x80,
        0x29,
        volume.serial,
        volume.label.encode("ascii").ljust(11),
        b"FAT32   ",
    )
    boot[90 : 90 + len(_BOOT_CODE)] = _BOOT_CODE
    boot[510:] = b"\x55\xaa"
    info = bytearray(_SECTOR)
    struct.pack_into(
        "<I480xIII", info, 0, 0x41615252, 0x61417272, geometry.clusters - free + _ROOT, free
    )
    info[508:] = b"\0\0\x55\xaa"
    both = bytes(boot + info)
    return both + bytes(4 * _SECTOR) + both
