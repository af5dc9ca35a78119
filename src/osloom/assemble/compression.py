"""Compress streams to the same bytes everywhere: levels, times and thread counts are fixed."""

import zlib
from collections.abc import Iterable, Iterator


def compressed(chunks: Iterable[bytes], method: str, level: int | None = None) -> Iterator[bytes]:
    """`chunks` compressed with `none`, `gzip`, `zstd` or `xz`."""
    match method:
        case "none":
            return iter(chunks)
        case "gzip":
            return _gzip(chunks, min(level or 6, 9))
        case "zstd":
            return _zstd(chunks, level or 3)
        case "xz":
            return _xz(chunks, min(level or 6, 9))
        case _:
            raise AssertionError(method)


def _gzip(chunks: Iterable[bytes], level: int) -> Iterator[bytes]:
    """RFC 1952 with no name, no time, and 255 for the system that wrote it."""
    yield b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
    compressor = zlib.compressobj(level, zlib.DEFLATED, -15)
    checksum, size = 0, 0
    for chunk in chunks:
        checksum = zlib.crc32(chunk, checksum)
        size += len(chunk)
        yield compressor.compress(chunk)
    yield compressor.flush()
    yield checksum.to_bytes(4, "little") + (size & 0xFFFFFFFF).to_bytes(4, "little")


def _zstd(chunks: Iterable[bytes], level: int) -> Iterator[bytes]:
    import zstandard

    # With workers the input is cut into jobs of a fixed size: their number does not show in the
    # bytes, as long as there are any.
    parameters = zstandard.ZstdCompressionParameters.from_level(
        level, threads=2, write_checksum=True, write_content_size=False
    )
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    for chunk in chunks:
        data = compressor.compress(chunk)
        if data:
            yield data
    yield compressor.flush()


def _xz(chunks: Iterable[bytes], level: int) -> Iterator[bytes]:
    import lzma

    compressor = lzma.LZMACompressor(lzma.FORMAT_XZ, lzma.CHECK_CRC64, preset=level)
    for chunk in chunks:
        yield compressor.compress(chunk)
    yield compressor.flush()


SUFFIXES = {"none": "", "gzip": ".gz", "zstd": ".zst", "xz": ".xz"}
