"""Bytes in chunks that their content ends: where something is put in or taken out, the chunks
before it and soon those behind it stay as they were."""

import zlib
from collections.abc import Iterable, Iterator

BLOCK = 4096
"""Chunks end between blocks of file systems: what moves there moves by whole blocks."""
LEAST, MOST = 32 * BLOCK, 256 * BLOCK
"""Bytes of a chunk; the last one may have fewer."""
_MASK = 63
"""One block in so many begins a chunk."""
_LOOKED_AT = 64
"""Bytes of a block that decide whether it does."""

Bytes = bytes | memoryview
"""Read only: chunks are parts of the pieces that they are cut from, where they can be."""


def cut(pieces: Iterable[Bytes]) -> Iterator[Bytes]:
    """The bytes of `pieces`, which may be cut anywhere, in chunks."""
    rest: Bytes = b""
    for piece in pieces:
        rest = b"".join((rest, piece)) if rest else piece
        start = 0
        while len(rest) - start >= MOST + _LOOKED_AT:
            end = _end(rest, start)
            yield rest[start:end]
            start = end
        rest = rest[start:]
    start = 0
    while start < len(rest):
        end = _end(rest, start)
        yield rest[start:end]
        start = end


def _end(data: Bytes, start: int) -> int:
    for place in range(start + LEAST, min(start + MOST, len(data)), BLOCK):
        if not zlib.crc32(data[place : place + _LOOKED_AT]) & _MASK:
            return place
    return min(start + MOST, len(data))
