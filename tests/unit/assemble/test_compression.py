"""The same bytes from the same content, however it arrives."""

import gzip
import lzma
from collections.abc import Callable

import pytest
import zstandard

from osloom.assemble.compression import compressed

# Longer than one of zstd's jobs, so that several of its threads have work.
DATA = b"".join(b"line %d of a file\n" % number for number in range(300_000))
READERS: dict[str, Callable[[bytes], bytes]] = {
    "none": bytes,
    "gzip": gzip.decompress,
    "xz": lzma.decompress,
    "zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
}


def pieces(size: int) -> list[bytes]:
    return [DATA[place : place + size] for place in range(0, len(DATA), size)]


@pytest.mark.parametrize("method", READERS)
def test_what_goes_in_comes_out(method: str) -> None:
    assert READERS[method](b"".join(compressed(pieces(1 << 20), method, 1))) == DATA
    assert READERS[method](b"".join(compressed([], method))) == b""


@pytest.mark.parametrize("method", READERS)
def test_how_the_content_is_cut_does_not_show(method: str) -> None:
    whole = b"".join(compressed([DATA], method, 1))
    assert b"".join(compressed(pieces(70_001), method, 1)) == whole


def test_gzip_names_no_file_no_time_and_no_system() -> None:
    assert b"".join(compressed([b"x"], "gzip"))[:10] == b"\x1f\x8b\x08\0\0\0\0\0\0\xff"


def test_zstd_does_not_depend_on_the_number_of_threads() -> None:
    other = zstandard.ZstdCompressionParameters.from_level(
        3, threads=5, write_checksum=True, write_content_size=False
    )
    compressor = zstandard.ZstdCompressor(compression_params=other).compressobj()
    assert b"".join(compressed([DATA], "zstd")) == compressor.compress(DATA) + compressor.flush()
