"""dm-verity: what veritysetup(8) makes of the same data."""

import struct
import uuid

import pytest

from osloom.base.digest import digest_bytes
from osloom.base.errors import Error
from osloom.model.verity import BLOCK, hash_partition_size, make_verity

IDENTITY = uuid.UUID("b2f5b4c2-3f0f-4d3a-8a3b-0e1c51a6f4c1")
SALT = bytes(range(32))


def test_the_superblock_says_what_was_hashed() -> None:
    made = make_verity([b"x" * BLOCK * 3], salt=SALT, identity=IDENTITY)
    head = struct.unpack_from("<8s2I16s32s2IQH6x256s", made.hashes)
    assert head == (
        b"verity\0\0",
        1,
        1,
        IDENTITY.bytes,
        b"sha256".ljust(32, b"\0"),
        BLOCK,
        BLOCK,
        3,
        32,
        SALT.ljust(256, b"\0"),
    )


def test_the_root_hash_is_that_of_veritysetup() -> None:
    # veritysetup format --salt=000102…1f --uuid=b2f5b4c2-3f0f-4d3a-8a3b-0e1c51a6f4c1, of 300 blocks.
    data = b"".join(bytes([number % 251]) * BLOCK for number in range(300))
    made = make_verity([data[:5000], data[5000:]], salt=SALT, identity=IDENTITY)
    assert len(made.hashes) == hash_partition_size(len(data)) == BLOCK * 5
    assert made.root_hash == "5e0340a7ec05976e629e6811add3590c8e81dce85b601894c1b9dac49da9cfca"
    assert digest_bytes(made.hashes) == (
        "sha256:a58ca664864ea9615ff06ca79ea77a71a5977ae8f66fb18e7bc206531a918aea"
    )


def test_the_ids_of_the_partitions_are_halves_of_the_root_hash() -> None:
    made = make_verity([bytes(BLOCK * 2)], salt=b"", identity=IDENTITY)
    assert made.data_id.hex + made.hash_id.hex == made.root_hash


def test_data_that_end_within_a_block_are_refused() -> None:
    with pytest.raises(Error, match="ends within a block"):
        make_verity([bytes(BLOCK + 1)], salt=b"", identity=IDENTITY)
