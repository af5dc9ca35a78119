"""Bytes that are read in pieces, of a disk or of a part of one."""

from collections.abc import Callable

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


def blocks_of(data: bytes) -> Blocks:
    """Bytes that are in memory."""
    return Blocks(source=lambda offset, size: data[offset : offset + size], size=len(data))


def _outside(offset: int, size: int, end: int) -> Error:
    return Error(
        f"cannot read the disk: bytes {offset} to {offset + size} are needed of what has {end}",
        hint="is the file whole?",
    )
