"""Read a FAT file system: Microsoft's FAT32 specification 1.03, with long names; FAT16 and FAT32."""

import functools
import struct
from collections.abc import Iterator

import msgspec

from osloom.base.errors import Error
from osloom.model.blocks import Blocks

_BOOT = struct.Struct("<11xHBHBHHBHHHII")
_ENTRY = struct.Struct("<11sB8xH4xHI")
_DIRECTORY, _VOLUME, _LONG = 0x10, 0x08, 0x0F
_DELETED = 0xE5
_MOST_ENTRIES = 65536


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A file or a directory."""

    name: str
    is_directory: bool
    cluster: int
    size: int


class Fat:
    """The file system of `volume`. Raises Error when it is none, or is broken."""

    def __init__(self, volume: Blocks) -> None:
        head = volume.read(0, 512)
        sector, per_cluster, reserved, tables, roots, small, _, fat16, _, _, _, large = (
            _BOOT.unpack_from(head)
        )
        fat_size = fat16 or struct.unpack_from("<I", head, 36)[0]
        known = sector in (512, 1024, 2048, 4096) and per_cluster in (1, 2, 4, 8, 16, 32, 64, 128)
        if head[510:512] != b"\x55\xaa" or not known or not tables or not fat_size:
            raise Error("cannot read the ESP: it holds no FAT file system")
        self.cluster_size: int = sector * per_cluster
        self._volume = volume
        self._roots = (reserved + tables * fat_size) * sector
        root_size = -(-roots * 32 // sector) * sector
        self._data = self._roots + root_size
        room = min(small or large, volume.size // sector) * sector - self._data
        self.clusters: int = max(0, room // self.cluster_size)
        if fat16 and self.clusters < 4085:
            raise Error("cannot read the ESP: it is FAT12, which no firmware has to know")
        self._is_fat32 = not fat16
        width = 4 if self._is_fat32 else 2
        self.clusters = min(self.clusters, fat_size * sector // width - 2)
        self._fat = volume.window(reserved * sector, (self.clusters + 2) * width)
        self._root_size = root_size
        self._root = struct.unpack_from("<I", head, 44)[0] if self._is_fat32 else 0

    @functools.cached_property
    def _links(self) -> tuple[int, ...]:
        kind = "I" if self._is_fat32 else "H"
        raw = self._fat.read(0, self._fat.size)
        return struct.unpack(f"<{self.clusters + 2}{kind}", raw)

    @property
    def free(self) -> int:
        """Bytes that no file has."""
        mask = 0x0FFFFFFF if self._is_fat32 else 0xFFFF
        return sum(not link & mask for link in self._links[2:]) * self.cluster_size

    @property
    def size(self) -> int:
        """Bytes that files and directories can have."""
        return self.clusters * self.cluster_size

    def used(self) -> Iterator[tuple[int, int]]:
        """Where the tables and what files have begin and end; sorted, nothing twice."""
        mask = 0x0FFFFFFF if self._is_fat32 else 0xFFFF
        start, end = 0, self._data
        for number, link in enumerate(self._links[2:]):
            if link & mask:
                place = self._data + number * self.cluster_size
                if place != end:
                    yield start, end
                    start = place
                end = place + self.cluster_size
        yield start, end

    def entries(self, path: str) -> list[Entry]:
        """What is in the directory `path`, parts separated by `/`; nothing if it is not there."""
        found = self.find(path)
        if path.strip("/") and (found is None or not found.is_directory):
            return []
        return list(self._entries(found))

    def find(self, path: str) -> Entry | None:
        """Names differ by more than their case."""
        found: Entry | None = None
        for name in filter(None, path.split("/")):
            if found is not None and not found.is_directory:
                return None
            inside = self._entries(found)
            found = next((one for one in inside if one.name.lower() == name.lower()), None)
            if found is None:
                return None
        return found

    def open(self, file: Entry) -> Blocks:
        """The content of a file."""
        chain = self._chain(file.cluster) if file.size else []
        if len(chain) * self.cluster_size < file.size:
            raise Error(f"cannot read `{file.name}` of the ESP: it ends before its size")
        return self._blocks(chain, file.size)

    def _blocks(self, chain: list[int], size: int) -> Blocks:
        def read(offset: int, length: int) -> bytes:
            pieces = []
            while length:
                number, within = divmod(offset, self.cluster_size)
                part = min(length, self.cluster_size - within)
                place = self._data + (chain[number] - 2) * self.cluster_size + within
                pieces.append(self._volume.read(place, part))
                offset, length = offset + part, length - part
            return b"".join(pieces)

        return Blocks(source=read, size=size)

    def _chain(self, cluster: int) -> list[int]:
        """Raises Error for one that leaves the file system, or comes back to itself."""
        end = 0x0FFFFFF8 if self._is_fat32 else 0xFFF8
        found: dict[int, None] = {}
        while cluster < end:
            if not 2 <= cluster < self.clusters + 2 or cluster in found:
                raise Error("cannot read the ESP: a chain of clusters is broken")
            found[cluster] = None
            cluster = self._links[cluster] & (0x0FFFFFFF if self._is_fat32 else 0xFFFF)
        return list(found)

    def _entries(self, directory: Entry | None) -> Iterator[Entry]:
        if directory is None and not self._is_fat32:
            raw = self._volume.read(self._roots, self._root_size)
        else:
            chain = self._chain(self._root if directory is None else directory.cluster)
            if len(chain) * self.cluster_size > _MOST_ENTRIES * 32:
                raise Error("cannot read the ESP: a directory is too large")
            raw = self._blocks(chain, len(chain) * self.cluster_size).read(
                0, len(chain) * self.cluster_size
            )
        yield from _parse_directory(raw)


def _parse_directory(raw: bytes) -> Iterator[Entry]:
    long: list[bytes] = []
    for place in range(0, len(raw), 32):
        entry = raw[place : place + 32]
        if entry[0] == 0:
            return
        short, attributes, high, low, size = _ENTRY.unpack(entry)
        if entry[0] == _DELETED:
            long = []
        elif attributes & 0x3F == _LONG:
            long.append(entry[1:11] + entry[14:26] + entry[28:32])
        else:
            # Joined before it is read: a character may lie half in one entry, half in the next.
            name = b"".join(reversed(long)).decode("utf-16-le", "replace").partition("\0")[0]
            name = name.rstrip("\uffff") or _short_name(short, entry[12])
            long = []
            if not attributes & _VOLUME and name not in (".", ".."):
                yield Entry(
                    name=name,
                    is_directory=bool(attributes & _DIRECTORY),
                    cluster=high << 16 | low,
                    size=size,
                )


def _short_name(raw: bytes, case: int) -> str:
    """Of the form 8.3; two bits of Windows NT say which part is in lower case."""
    base, more = (part.decode("ascii", "replace").rstrip() for part in (raw[:8], raw[8:]))
    base, more = (base.lower() if case & 8 else base), (more.lower() if case & 16 else more)
    return f"{base}.{more}" if more else base
