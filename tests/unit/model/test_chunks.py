"""Bytes in chunks that their content ends."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osloom.model.chunks import BLOCK, LEAST, MOST, cut

_DATA = random.Random(1).randbytes(8 << 20)


def test_chunks_are_the_bytes_whatever_pieces_they_come_in() -> None:
    whole = list(cut([_DATA]))
    assert b"".join(whole) == _DATA
    assert all(LEAST <= len(one) <= MOST and len(one) % BLOCK == 0 for one in whole[:-1])
    assert len({len(one) for one in whole}) > 5
    for size in (1000, BLOCK, MOST, MOST + 1, 3 * MOST):
        pieces = [_DATA[place : place + size] for place in range(0, len(_DATA), size)]
        assert list(cut(pieces)) == whole
        assert list(cut(map(memoryview, pieces))) == whole


@pytest.mark.parametrize("size", [0, 1, LEAST, LEAST + 1, MOST, MOST + 1])
def test_few_bytes(size: int) -> None:
    assert b"".join(cut([_DATA[:size]])) == _DATA[:size]
    assert list(cut([])) == []


def test_what_repeats_is_cut_at_the_most() -> None:
    assert {len(one) for one in cut([bytes(4 * MOST)])} <= {LEAST, MOST}


@given(place=st.integers(0, 7 << 8), blocks=st.integers(1, 100), removes=st.booleans())
def test_a_change_leaves_what_is_far_from_it(place: int, blocks: int, *, removes: bool) -> None:
    start = place * BLOCK
    added = random.Random(blocks).randbytes(blocks * BLOCK)
    changed = _DATA[:start] + (_DATA[start + len(added) :] if removes else added + _DATA[start:])
    before, after = set(cut([_DATA])), set(cut([changed]))
    new = sum(map(len, after - before))
    assert new <= len(added) * (not removes) + 6 * MOST
