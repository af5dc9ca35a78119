"""Decompress NARs as they come, and never more than was promised.

Several streams or frames one after the other are one, as for the programs of these formats. What
ends in the middle, and what is followed by anything else, is refused.
"""

import io
import zlib
from collections.abc import Callable
from typing import BinaryIO, NoReturn, Protocol, cast

from osloom.base.errors import FetchError

_CHUNK = 256 << 10
_PIECE = 4 << 10
"""Compressed bytes that zstd takes at a time: it gives all that they unpack to, of a bomb 128 MiB."""
_MADE = 32 << 10
"""Bytes of room for what zstd makes of a piece: larger ones go back to the system each time."""
_MEMORY = 256 << 20
"""Bytes that xz may take; what `xz -9` writes needs 65 MiB."""
_WINDOW = 1 << 27
"""Bytes that zstd may look back: as its own program allows without being told, zstd(1)."""
_FREE_STREAMS = 1000
"""Streams that may hold next to nothing; after them each has to bring 4 KiB."""
_HINT = "what it came from is broken or lies: take the path from another cache"


def decompressed(source: BinaryIO, method: str, *, limit: int, title: str = "the NAR") -> BinaryIO:
    """What `source` unpacks to, to be read to its end; `read` gives at most what it is asked for.

    `method` is `Compression` of a narinfo. Reading raises FetchError for more than `limit` bytes,
    and for what is damaged; so does the call for a method that osloom cannot read. Messages call
    it `title`.
    """
    if method == "none":
        return cast(BinaryIO, _Plain(source, limit, title))
    opener = _STREAMS.get(method)
    if opener is None:
        raise FetchError(
            f"cannot decompress {title}: osloom does not read `{method[:40]}`",
            hint=f"take it from a cache that has it as {', '.join(_STREAMS)} or none",
        )
    return cast(BinaryIO, _Decompressed(source, limit, title, method, opener))


class _Stream(Protocol):
    """One stream or frame, as the standard library's decompressors of bzip2 and xz are one."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Gzip:
    def __init__(self) -> None:
        self._object = zlib.decompressobj(31)  # gzip's header and checksum, zlib's manual
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._object.eof

    @property
    def unused_data(self) -> bytes:
        return self._object.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        found = self._object.decompress(self._object.unconsumed_tail + data, max_length)
        self.needs_input = len(found) < max_length
        return found


class _Zstd:
    """Gives more than it was asked for."""

    def __init__(self) -> None:
        import zstandard

        self._object = zstandard.ZstdDecompressor(max_window_size=_WINDOW).decompressobj(
            write_size=_MADE
        )
        self._data = b""
        self._place = 0

    @property
    def eof(self) -> bool:
        return self._object.eof

    @property
    def needs_input(self) -> bool:
        return self._place == len(self._data)

    @property
    def unused_data(self) -> bytes:
        return self._object.unused_data + self._data[self._place :]

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:  # noqa: ARG002
        if data:
            self._data, self._place = data, 0
        piece = self._data[self._place : self._place + _PIECE]
        self._place += len(piece)
        return self._object.decompress(piece)


def _xz() -> _Stream:
    import lzma

    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY)


def _bzip2() -> _Stream:
    import bz2

    return bz2.BZ2Decompressor()


_STREAMS: dict[str, Callable[[], _Stream]] = {
    "xz": _xz,
    "zstd": _Zstd,
    "bzip2": _bzip2,
    "gzip": _Gzip,
}


def _damage() -> tuple[type[Exception], ...]:
    """How decompressors say that what they got is none of theirs."""
    import lzma

    import zstandard

    return (lzma.LZMAError, zlib.error, zstandard.ZstdError, OSError, ValueError, EOFError)


class _Plain(io.RawIOBase):
    """What is not compressed, up to its limit."""

    def __init__(self, source: BinaryIO, limit: int, title: str) -> None:
        super().__init__()
        self._source = source
        self._left = limit
        self._limit = limit
        self._title = title

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def read(self, size: int = -1, /) -> bytes:
        if size < 0:
            return self.readall()
        data = self._next(min(size, self._left + 1))
        self._left -= len(data)
        if self._left < 0:
            self._fail(f"it unpacks to more than the {self._limit} bytes that it should have")
        return data

    def _next(self, most: int) -> bytes:
        return self._source.read(most)

    def _fail(self, cause: str, *, detail: str = "") -> NoReturn:
        raise FetchError(f"cannot decompress {self._title}: {cause}", hint=_HINT, detail=detail)


class _Decompressed(_Plain):
    def __init__(
        self,
        source: BinaryIO,
        limit: int,
        title: str,
        method: str,
        opener: Callable[[], _Stream],
    ) -> None:
        super().__init__(source, limit, title)
        self._method = method
        self._opener = opener
        self._damage = _damage()
        self._stream: _Stream | None = opener()
        self._streams = 1
        self._data = b""
        """What came from the source, and no stream has taken yet."""
        self._ready = b""
        """What a stream gave, and nobody has read yet."""

    def _next(self, most: int) -> bytes:
        # Gathered: what reads and hashes them takes as long for a small piece as for a large one.
        pieces: list[bytes] = []
        have = 0
        while have < most and (piece := self._ready or self._unpacked(most - have)):
            rest = most - have
            self._ready = piece[rest:] if len(piece) > rest else b""
            pieces.append(piece[:rest])
            have += len(pieces[-1])
        return b"".join(pieces)

    def _unpacked(self, most: int) -> bytes:
        """More of it; of zstd perhaps more than `most` bytes. Nothing at its end."""
        found = b""
        while not found:
            stream = self._stream or self._another()
            if stream is None:
                return b""
            if stream.needs_input and not self._data:
                self._data = self._source.read(_CHUNK)
                if not self._data:
                    self._fail(f"its {self._method} data ends in the middle")
            try:
                found = stream.decompress(self._data, max(most, 1))
                self._data = stream.unused_data if stream.eof else b""
            except self._damage as error:
                self._fail(f"its {self._method} data is damaged", detail=str(error))
            self._stream = None if stream.eof else stream
        return found

    def _another(self) -> _Stream | None:
        """The stream after the last one, if anything follows it."""
        self._data = self._data or self._source.read(_CHUNK)
        if not self._data:
            return None
        self._streams += 1
        if self._streams > _FREE_STREAMS + (self._limit - self._left >> 12):
            self._fail(f"its {self._method} data is cut into {self._streams} pieces")
        self._stream = self._opener()
        return self._stream
