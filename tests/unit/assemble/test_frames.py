"""Chunks are told apart by what they hold, however that is known."""

import hashlib
import random
import uuid

from osloom.assemble.frames import chunks_of, chunks_of_blocks
from osloom.model.blocks import blocks_of
from osloom.model.chunks import BLOCK
from osloom.model.verity import make_verity
from osloom.model.verity_check import data_hashes

_DATA = random.Random(2).randbytes(6 << 20)


def names(data: bytes) -> dict[bytes, str]:
    """By the hashes of dm-verity, of each chunk."""
    made = make_verity([data], salt=b"salt", identity=uuid.UUID(int=1))
    found = list(chunks_of_blocks(data, data_hashes(blocks_of(made.hashes))))
    assert b"".join(one.content for one in found) == data
    return {bytes(one.content): one.name for one in found}


def test_the_same_chunk_has_one_name_wherever_it_is() -> None:
    before = names(_DATA)
    moved = names(_DATA[: 40 * BLOCK] + bytes(BLOCK) + _DATA[40 * BLOCK :])
    assert len(before) == len(set(before.values())) > 5
    same = before.keys() & moved.keys()
    assert len(same) >= len(before) - 2
    assert all(before[one] == moved[one] for one in same)
    assert not {before[one] for one in before.keys() - same} & set(moved.values())


def test_of_what_is_not_known_the_name_is_its_digest() -> None:
    zeros, *chunks = chunks_of([1 << 20, [_DATA[:BLOCK], _DATA[BLOCK:]]])
    assert zeros == 1 << 20
    assert [one.content for one in chunks] == list(names(_DATA))
    for one in chunks:
        assert one.name == f"sha256:{hashlib.sha256(one.content).hexdigest()}"
