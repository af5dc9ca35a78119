"""Frames of zeros, read by the reference's library."""

import io

import pytest
import zstandard

from osloom.model.zstd import frame_of_zeros

BLOCK = 128 << 10


@pytest.mark.parametrize("count", [1, 4096, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 100_000_001])
def test_it_holds_as_many_zeros_as_it_says(count: int) -> None:
    frame = frame_of_zeros(count)
    assert zstandard.frame_content_size(frame) == count
    assert zstandard.ZstdDecompressor().decompress(frame) == bytes(count)
    assert len(frame) <= 14 + 4 * (count // BLOCK + 1)


def test_it_may_stand_between_others() -> None:
    packed = zstandard.ZstdCompressor().compress
    data = packed(b"before") + frame_of_zeros(BLOCK + 5) + packed(b"after")
    reader = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True)
    assert reader.read() == b"before" + bytes(BLOCK + 5) + b"after"


def test_it_asks_for_little_memory() -> None:
    assert zstandard.get_frame_parameters(frame_of_zeros(1 << 30)).window_size == BLOCK
