"""Bytes that are read in pieces, of a disk or of a part of one."""

from collections.abc import Callable, Mapping

import msgspec

from osloom.base.errors import Error


class Blocks(msgspec.Struct, frozen=True, kw_only=True):
    """`size` bytes; what is read of them is not trusted."""

    source: Callable[[int, int], bytes]
    """Gives the bytes from an offset on, as many as are asked for."""
    size: int
    start: int = 0
    """Where in `source` they begin."""

    def read(self, offset: int, size: int) -> bytes:
        """Raises Error for what lies outside."""
        if offset < 0 or size < 0 or offset + size > self.size:
            raise _outside(offset, size, self.size)
        found = self.source(self.start + offset, size)
        if len(found) != size:
            raise _outside(offset, size, offset + len(found))
        return found

    def window(self, offset: int, size: int) -> "Blocks":
        """A part of them. Raises Error when it is not inside."""
        if offset < 0 or size < 0 or offset + size > self.size:
            raise _outside(offset, size, self.size)
        return Blocks(source=self.source, size=size, start=self.start + offset)


def blocks_of(data: bytes | memoryview) -> Blocks:
    """Bytes that are in memory, or as if they were."""
    return Blocks(source=lambda offset, size: bytes(data[offset : offset + size]), size=len(data))


def zeros(size: int) -> Blocks:
    return Blocks(source=lambda _offset, size: bytes(size), size=size)


def with_parts(below: Blocks, parts: Mapping[int, Blocks]) -> Blocks:
    """`below` with others in their places: `parts`, which do not overlap, by where they begin."""

    def read(offset: int, size: int) -> bytes:
        found, end = [], offset + size
        while offset < end:
            start = max((one for one in parts if one <= offset), default=None)
            if start is not None and offset < start + parts[start].size:
                stop = min(end, start + parts[start].size)
                found.append(parts[start].read(offset - start, stop - offset))
            else:
                stop = min(end, *(one for one in parts if one > offset), end)
                found.append(below.read(offset, stop - offset))
            offset = stop
        return b"".join(found)

    return Blocks(source=read, size=below.size)


def _outside(offset: int, size: int, end: int) -> Error:
    return Error(
        f"cannot read the disk: bytes {offset} to {offset + size} are needed of what has {end}",
        hint="is the file whole?",
    )
