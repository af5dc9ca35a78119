"""Hashes of dm-verity, checked."""

import random
import uuid

import pytest

from osloom.base.errors import Error
from osloom.model.blocks import Blocks
from osloom.model.verity import make_verity
from osloom.model.verity_check import find_damage, hashes_size, parse_superblock

_SALT = b"salt"


def _blocks(data: bytes) -> Blocks:
    return Blocks(source=lambda place, size: data[place : place + size], size=len(data))


@pytest.mark.parametrize("count", [1, 2, 128, 129, 300])
def test_whole_data_is_found_whole_and_every_other_not(count: int) -> None:
    data = random.Random(count).randbytes(count * 4096)
    made = make_verity([data], salt=_SALT, identity=uuid.UUID(int=1))
    hashes = _blocks(made.hashes)
    # A partition may be larger than what is in it.
    assert find_damage(_blocks(data + bytes(4096)), hashes, made.root_hash) is None
    assert hashes_size(hashes) == len(made.hashes)
    for block in {0, count // 2, count - 1}:
        bad = bytearray(data)
        bad[block * 4096 + 17] ^= 1
        assert find_damage(_blocks(bytes(bad)), hashes, made.root_hash) == (
            f"block {block}, at byte {block * 4096} of it, is not as it was written"
        )


def test_a_bad_block_of_hashes_is_named_from_the_superblock_on() -> None:
    data = random.Random(0).randbytes(300 * 4096)
    made = make_verity([data], salt=_SALT, identity=uuid.UUID(int=1))
    for block in (1, 2, 3):
        bad = bytearray(made.hashes)
        bad[block * 4096] ^= 1
        found = find_damage(_blocks(data), _blocks(bytes(bad)), made.root_hash)
        assert found == f"block {block} of its hashes is not as it was written"


def test_hashes_that_are_cut_off_or_of_another_kind_are_refused() -> None:
    made = make_verity([bytes(8192)], salt=_SALT, identity=uuid.UUID(int=1))
    with pytest.raises(Error, match="cut off"):
        hashes_size(_blocks(made.hashes[:4096]))
    other = made.hashes.replace(b"sha256", b"sha512", 1)
    with pytest.raises(Error, match="not SHA-256"):
        parse_superblock(_blocks(other))
