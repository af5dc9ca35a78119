"""NARs out of every compression, and out of what only looks like one."""

import bz2
import contextlib
import functools
import gzip
import io
import lzma
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from osloom.base.errors import FetchError
from osloom.sources.nix.compression import decompressed

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "xz": lzma.compress,
    "zstd": zstandard.compress,
    "bzip2": bz2.compress,
    "gzip": gzip.compress,
    "none": bytes,
}
METHODS = [method for method in COMPRESS if method != "none"]
DATA = b"".join(number.to_bytes(4, "little") for number in range(100_000))


def unpack(data: bytes, method: str, *, limit: int = 1 << 30, size: int = 1 << 20) -> bytes:
    source = decompressed(io.BytesIO(data), method, limit=limit, title="the NAR of x")
    found = []
    while piece := source.read(size):
        assert len(piece) <= size
        found.append(piece)
    assert source.read(size) == b""
    return b"".join(found)


def refusal(data: bytes, method: str, *, limit: int = 1 << 30) -> str:
    with pytest.raises(FetchError) as caught:
        unpack(data, method, limit=limit)
    start = "cannot decompress the NAR of x: "
    assert caught.value.message.startswith(start)
    assert caught.value.hint is not None
    return caught.value.message.removeprefix(start)


@pytest.mark.parametrize("method", COMPRESS)
@pytest.mark.parametrize("data", [b"", b"x", DATA], ids=len)
def test_what_was_compressed(method: str, data: bytes) -> None:
    packed = COMPRESS[method](data)
    assert unpack(packed, method, limit=len(data)) == data
    assert unpack(packed, method, limit=len(data), size=1000) == data
    assert decompressed(io.BytesIO(packed), method, limit=len(data)).read() == data


@pytest.mark.parametrize("method", METHODS)
def test_several_streams_are_one(method: str) -> None:
    compress = COMPRESS[method]
    packed = compress(DATA) + compress(b"") + compress(b"end")
    assert unpack(packed, method, limit=len(DATA) + 3) == DATA + b"end"


def test_a_frame_to_be_skipped_is_skipped() -> None:
    """RFC 8878, 3.1.2: indexes of seekable archives are such frames."""
    frame = b"\x50\x2a\x4d\x18\x04\0\0\0abcd"
    assert unpack(frame + zstandard.compress(b"x") + frame, "zstd") == b"x"


@pytest.mark.parametrize("method", METHODS)
def test_what_is_cut_off_anywhere(method: str) -> None:
    whole = COMPRESS[method](b"some text")
    for length in range(len(whole)):
        assert refusal(whole[:length], method) == f"its {method} data ends in the middle"


@pytest.mark.parametrize("method", METHODS)
def test_what_is_cut_off_far_on(method: str) -> None:
    whole = COMPRESS[method](DATA)
    assert refusal(whole[:-1], method) == f"its {method} data ends in the middle"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("rest", [b"rubbish, and more of it", bytes(16)])
def test_what_is_followed_by_something(method: str, rest: bytes) -> None:
    packed = COMPRESS[method](DATA) + rest
    assert refusal(packed, method) == f"its {method} data is damaged"


@pytest.mark.parametrize("method", METHODS)
def test_what_is_something_else(method: str) -> None:
    assert refusal(b"<html>Not found</html>", method) == f"its {method} data is damaged"


@pytest.mark.parametrize("method", COMPRESS)
def test_more_than_was_promised(method: str) -> None:
    packed = COMPRESS[method](DATA)
    cause = f"it unpacks to more than the {len(DATA) - 1} bytes that it should have"
    assert refusal(packed, method, limit=len(DATA) - 1) == cause


@pytest.mark.parametrize("method", METHODS)
def test_a_bomb_gives_no_more_than_its_limit(method: str) -> None:
    source = decompressed(io.BytesIO(COMPRESS[method](bytes(8 << 20))), method, limit=100_000)
    pieces = iter(functools.partial(source.read, 4096), b"")
    found: list[bytes] = []
    with pytest.raises(FetchError) as caught:
        found.extend(pieces)
    assert len(b"".join(found)) <= 100_000
    assert caught.value.message == (
        "cannot decompress the NAR: it unpacks to more than the 100000 bytes that it should have"
    )


@pytest.mark.parametrize("method", METHODS)
def test_streams_without_end(method: str) -> None:
    """Each costs more to open than it holds."""
    cause = refusal(COMPRESS[method](b"") * 1500, method)
    assert cause == f"its {method} data is cut into 1001 pieces"


def test_a_dictionary_that_would_fill_the_memory() -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}]
    packed = bytearray(lzma.compress(b"x", filters=filters))
    # The size of the dictionary in the block header, and the header's checksum,
    # https://tukaani.org/xz/xz-file-format.txt, 3.1 and 5.3.1.
    import zlib

    place = packed.index(b"\x21\x01", 12) + 2
    packed[place] = 40
    packed[20:24] = zlib.crc32(bytes(packed[12:20])).to_bytes(4, "little")
    assert refusal(bytes(packed), "xz") == "its xz data is damaged"


def test_a_window_that_would_fill_the_memory() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=28, compression_level=1)
    packed = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    data = packed.compress(b"x") + packed.flush()
    assert refusal(data, "zstd") == "its zstd data is damaged"


@pytest.mark.parametrize("method", ["br", "lzip", "", "XZ", "../none"])
def test_a_method_that_is_not_read(method: str) -> None:
    assert refusal(b"", method) == f"osloom does not read `{method}`"


@given(
    method=st.sampled_from(METHODS),
    place=st.integers(0, 200),
    removed=st.integers(0, 20),
    added=st.binary(max_size=20),
)
def test_nothing_else_comes_of_damage(method: str, place: int, removed: int, added: bytes) -> None:
    packed = COMPRESS[method](bytes(range(256)))
    data = packed[:place] + added + packed[place + removed :]
    with contextlib.suppress(FetchError):
        assert len(unpack(data, method, limit=1000)) <= 1000
