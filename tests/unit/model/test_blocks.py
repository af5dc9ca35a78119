"""Bytes put together of others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osloom.base.errors import Error
from osloom.model.blocks import blocks_of, with_parts


@given(
    st.lists(st.tuples(st.integers(0, 9), st.binary(min_size=1, max_size=9)), max_size=5),
    st.integers(0, 80),
    st.integers(0, 80),
)
def test_parts_are_read_in_their_places(
    gaps: list[tuple[int, bytes]], offset: int, size: int
) -> None:
    whole, parts = bytearray(b"." * 100), {}
    place = 0
    for gap, part in gaps:
        place += gap
        parts[place] = blocks_of(part)
        whole[place : place + len(part)] = part
        place += len(part)
    disk = with_parts(blocks_of(b"." * 100), parts)
    size = min(size, 100 - offset)
    assert disk.read(offset, size) == whole[offset : offset + size]
    assert disk.window(offset, size).read(0, size) == whole[offset : offset + size]


def test_nothing_is_read_outside() -> None:
    disk = with_parts(blocks_of(b"...."), {1: blocks_of(b"ab")})
    with pytest.raises(Error):
        disk.read(2, 3)
