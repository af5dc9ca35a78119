"""Which blocks of a new version a device has, and which it fetches."""

import uuid
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osloom.base.errors import Error
from osloom.model.block_list import (
    BLOCK,
    BlockList,
    format_list,
    missing,
    parse_list,
    root_blocks,
    uki_blocks,
)
from osloom.model.blocks import Blocks
from osloom.model.verity import make_verity
from support.pe import make_pe


def blocks(data: bytes) -> Blocks:
    return Blocks(source=lambda at, size: data[at : at + size], size=len(data))


def content(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(4, "big") * (BLOCK // 4) for number in numbers)


def listed(*numbers: int) -> BlockList:
    made = make_verity([content(*numbers)], salt=b"salt", identity=uuid.UUID(int=1))
    return root_blocks(blocks(made.hashes))


def test_a_root_has_the_blocks_that_its_hashes_say() -> None:
    many = listed(*range(20_000))
    assert (many.size, many.first, len(set(many.digests))) == (20_000 * BLOCK, BLOCK, 20_000)
    assert listed(7, 8, 7).digests[0] == listed(9, 7).digests[1]


def test_blocks_of_a_kernel_are_the_same_wherever_it_lies() -> None:
    kernel = content(*range(9))

    def of(early: bytes) -> BlockList:
        names = (b".text", b".linux")
        return uki_blocks(blocks(make_pe(sections=(early, kernel), names=names)))

    short, long = of(b"x" * 100), of(b"y" * 777)
    assert (short.first, long.first) == (1124, 1801)
    assert short.digests[1:] == long.digests[1:]
    assert missing(short, long) == [(0, 1801)]


def test_a_program_without_a_kernel_has_whole_blocks() -> None:
    made = uki_blocks(blocks(make_pe(sections=(b"x" * 9000,))))
    assert (made.first, made.size, len(made.digests)) == (BLOCK, 10024, 3)


def test_only_what_is_not_there_is_fetched() -> None:
    old = listed(*range(100))
    assert missing(old, old) == []
    assert missing(old, listed(*range(50), 200, *range(50, 100))) == [(50 * BLOCK, 51 * BLOCK)]
    assert missing(old, listed(*range(60, 100), *range(60))) == []
    assert missing(listed(1, 2), listed(5, 6, 7)) == [(0, 3 * BLOCK)]


def test_a_few_blocks_between_others_are_fetched_with_them() -> None:
    old = listed(*range(100))
    assert missing(old, listed(200, 1, 2, 3, 201)) == [(0, 5 * BLOCK)]
    apart = missing(old, listed(200, *range(8), 201))
    assert apart == [(0, BLOCK), (9 * BLOCK, 10 * BLOCK)]


_NUMBERS = st.lists(st.integers(0, 30), min_size=2)


@given(_NUMBERS, _NUMBERS)
def test_what_is_not_fetched_is_there(old: list[int], new: list[int]) -> None:
    ranges = missing(listed(*old), listed(*new))
    fetched = {number for begin, end in ranges for number in range(begin // BLOCK, end // BLOCK)}
    assert all(one in old for number, one in enumerate(new) if number not in fetched)
    assert ranges == sorted(ranges)
    assert all(before[1] < after[0] for before, after in pairwise(ranges))


def test_a_list_is_read_as_it_was_written() -> None:
    made = uki_blocks(
        blocks(make_pe(sections=(b"a" * 5000, content(1, 2)), names=(b"a", b".linux")))
    )
    assert parse_list(format_list(made)) == made


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "cut off"),
        (bytes(16), "cut off"),
        (bytes(25), "cut off"),
        (bytes(24), "sizes"),
        ((9000).to_bytes(8, "little") + (4096).to_bytes(8, "little") + bytes(8), "sizes"),
        ((10).to_bytes(8, "little") + (4097).to_bytes(8, "little") + bytes(8), "sizes"),
    ],
)
def test_what_is_no_list_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(Error, match=said):
        parse_list(data)
