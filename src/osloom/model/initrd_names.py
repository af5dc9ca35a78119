"""The names in an initrd that somebody else made: cpio archives one after the other, compressed or not.

https://docs.kernel.org/driver-api/early-userspace/buffer-format.html
"""

import zlib
from collections.abc import Callable
from typing import BinaryIO, Protocol

from osloom.base.errors import BuildError

_ARCHIVE = b"07070"
_HEADER = 110
_LONGEST_NAME = 4096
_MOST = 4 << 30
"""Bytes that an initrd may unpack to."""
_KEPT = 1 << 20
"""Bytes of a list of built-in modules."""
_PIECE = 4 << 10
"""Compressed bytes at a time: zstd gives at once all that they unpack to."""
_BUILT_IN = "modules.builtin"


def read_initrd_names(file: BinaryIO) -> frozenset[str]:
    """Paths without a leading slash, and the kernel's built-in modules as paths of their files.

    Raises BuildError for what is no initrd, or is compressed otherwise than by gzip, xz or zstd.
    """
    import lzma

    import zstandard

    try:
        stream, found = _Stream(file), set[str]()
        while start := stream.start():
            found |= _archive(start, stream)
        return frozenset(found)
    except (
        OSError,
        EOFError,
        ValueError,
        lzma.LZMAError,
        zlib.error,
        zstandard.ZstdError,
    ) as error:
        raise BuildError(
            f"cannot read the initrd: {error}",
            hint="build the system again, and then `osloom lock`",
        ) from error


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


def _xz() -> _Decompressor:
    import lzma

    return lzma.LZMADecompressor(lzma.FORMAT_XZ)


def _zstd() -> _Decompressor:
    import zstandard

    return zstandard.ZstdDecompressor(max_window_size=1 << 27).decompressobj()


_FORMATS: dict[bytes, Callable[[], _Decompressor]] = {
    b"\x1f\x8b": lambda: zlib.decompressobj(31),
    b"\xfd7zX": _xz,
    b"\x28\xb5\x2f\xfd": _zstd,
}
"""By what a stream or frame starts with."""


class _Stream:
    """What an initrd unpacks to; streams and frames one after the other are one."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._raw = b""
        self._unpacked = b""
        self._open: _Decompressor | None = None
        self._count = 0

    def start(self) -> bytes:
        """The first byte of the next archive; none at the end."""
        while True:
            if self._open is None and not self._unpacked:
                self._begin()
            byte = self.read(1)
            if byte != b"\0":
                return byte

    def exactly(self, size: int) -> bytes:
        data = self.read(size)
        if len(data) != size:
            raise ValueError("it ends in the middle of a file")
        return data

    def skip(self, size: int) -> None:
        while size:
            size -= len(self.exactly(min(size, 1 << 20)))

    def read(self, size: int) -> bytes:
        """So many bytes, or fewer at the end."""
        while len(self._unpacked) < size and self._more(size - len(self._unpacked)):
            pass
        data, self._unpacked = self._unpacked[:size], self._unpacked[size:]
        self._count += len(data)
        if self._count > _MOST:
            raise ValueError("it unpacks to more than 4 GiB")
        return data

    def _more(self, size: int) -> bool:
        """Unpack some more, or take at most `size` bytes that are not compressed."""
        if self._open is not None and self._open.eof:
            self._raw, self._open = self._open.unused_data + self._raw, None
            self._begin()
        wanted = size if self._open is None else _PIECE
        data, self._raw = self._raw[:wanted], self._raw[wanted:]
        data = data or self._file.read(wanted)
        if not data and self._open is not None:
            raise EOFError("it ends in the middle of what is compressed")
        self._unpacked += data if self._open is None else self._open.decompress(data)
        return bool(data)

    def _begin(self) -> None:
        """Open the stream that comes next, if there is one."""
        self._raw += self._file.read(max(0, 4 - len(self._raw)))
        for magic, opener in _FORMATS.items():
            if self._raw.startswith(magic):
                self._open = opener()


def _archive(start: bytes, stream: _Stream) -> set[str]:
    """One archive up to its trailer, of which `start` is read already."""
    found: set[str] = set()
    while True:
        header = start + stream.exactly(_HEADER - len(start))
        if not header.startswith(_ARCHIVE):
            raise ValueError("it is no cpio archive, nor one in gzip, xz or zstd")
        fields = [int(header[at : at + 8], 16) for at in range(6, _HEADER, 8)]
        size, length = fields[6], fields[11]
        if not 0 < length <= _LONGEST_NAME:
            raise ValueError("it has a name that is too long")
        name = stream.exactly(length)[:-1].decode(errors="replace").removeprefix("./").lstrip("/")
        stream.skip(-(_HEADER + length) % 4)
        if name == "TRAILER!!!":
            stream.skip(size + -size % 4)
            return found
        found.add(name)
        if name.endswith(f"/{_BUILT_IN}") and size <= _KEPT:
            text = stream.exactly(size).decode(errors="replace")
            found |= {name.removesuffix(_BUILT_IN) + line for line in text.split()}
        else:
            stream.skip(size)
        stream.skip(-size % 4)
        start = b""
