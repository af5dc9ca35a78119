"""The names in an initrd that somebody else made: cpio archives one after the other, the last compressed.

https://docs.kernel.org/driver-api/early-userspace/buffer-format.html
"""

import gzip
import io
import lzma
import zlib
from typing import BinaryIO, cast

from osloom.base.errors import BuildError

_MAGIC = (b"070701", b"070702")
_HEADER = 110
_LONGEST_NAME = 4096
_MOST = 4 << 30
"""Bytes that an initrd may unpack to."""
_KEPT = 1 << 20
"""Bytes of the lists of built-in modules."""
_BUILT_IN = "/modules.builtin"


def read_initrd_names(file: BinaryIO) -> frozenset[str]:
    """Paths without a leading slash, and the kernel's built-in modules as paths of their files.

    Raises BuildError for what is no initrd, or is compressed otherwise than by gzip, xz or zstd.
    """
    import zstandard

    try:
        return frozenset(_names(_Counted(file)))
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


class _Counted:
    """A stream that ends with an error after too much of it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.place = 0

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self.place += len(data)
        if self.place > _MOST:
            raise ValueError("it unpacks to more than 4 GiB")
        return data

    def exactly(self, size: int) -> bytes:
        data = self.read(size)
        if len(data) != size:
            raise ValueError("it ends in the middle of a file")
        return data

    def skip(self, size: int) -> None:
        while size:
            size -= len(self.exactly(min(size, 1 << 20)))


def _names(stream: _Counted) -> set[str]:
    found: set[str] = set()
    while start := stream.read(4):
        if not any(start):
            continue
        if not any(magic.startswith(start) for magic in _MAGIC):
            return found | _names(_Counted(_decompressed(start, stream)))
        found |= _archive(start, stream)
    return found


def _archive(start: bytes, stream: _Counted) -> set[str]:
    """One archive up to its trailer, of which `start` is read already."""
    found: set[str] = set()
    while True:
        header = start + stream.exactly(_HEADER - len(start))
        if header[:6] not in _MAGIC:
            raise ValueError("it holds something that is no cpio archive")
        fields = [int(header[at : at + 8], 16) for at in range(6, _HEADER, 8)]
        size, length = fields[6], fields[11]
        if not 0 < length <= _LONGEST_NAME:
            raise ValueError("it has a name that is too long")
        name = stream.exactly(length)[:-1].decode(errors="replace")
        stream.skip(-(_HEADER + length) % 4)
        if name == "TRAILER!!!":
            stream.skip(size + -size % 4)
            return found
        found.add(name.removeprefix("./").lstrip("/"))
        if name.endswith(_BUILT_IN) and size <= _KEPT:
            base = name.removesuffix(_BUILT_IN.removeprefix("/")).lstrip("/")
            text = stream.exactly(size).decode(errors="replace")
            found |= {f"{base}{line}" for line in text.split()}
        else:
            stream.skip(size)
        stream.skip(-size % 4)
        start = b""


def _decompressed(start: bytes, stream: _Counted) -> BinaryIO:
    rest = cast(BinaryIO, io.BufferedReader(_Rest(start, stream)))
    if start.startswith(b"\x1f\x8b"):
        return cast(BinaryIO, gzip.GzipFile(fileobj=rest))
    if start == b"\xfd7zX":
        return cast(BinaryIO, lzma.LZMAFile(rest, format=lzma.FORMAT_XZ))
    if start == b"\x28\xb5\x2f\xfd":
        import zstandard

        reader = zstandard.ZstdDecompressor(max_window_size=1 << 27)
        return cast(BinaryIO, reader.stream_reader(rest, read_across_frames=True))
    raise ValueError("it is compressed otherwise than by gzip, xz or zstd")


class _Rest(io.RawIOBase):
    """What was read of a stream, and then its rest."""

    def __init__(self, start: bytes, stream: _Counted) -> None:
        self._start = start
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._start or self._stream.read(len(buffer))
        self._start = b""
        buffer[: len(data)] = data
        return len(data)
