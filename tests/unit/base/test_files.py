"""Files with holes."""

import hashlib
import os
from pathlib import Path

import pytest

from osloom.base.files import copy_into, copy_sparse, sha256_sparse

MIB = 1 << 20
PIECES = [
    pytest.param({}, 0, id="empty"),
    pytest.param({0: b"x"}, 1, id="a byte"),
    pytest.param({}, 9 * MIB + 5, id="one hole"),
    pytest.param({0: b"a" * (4 * MIB + 1)}, 4 * MIB + 1, id="more than is read at a time"),
    pytest.param({5 * MIB: b"b" * 5000, 20 * MIB: b"c" * (9 * MIB)}, 40 * MIB, id="holes around"),
]


def sparse(path: Path, pieces: dict[int, bytes], size: int) -> Path:
    with path.open("wb") as file:
        for place, data in pieces.items():
            file.seek(place)
            file.write(data)
    os.truncate(path, size)
    return path


@pytest.mark.parametrize(("pieces", "size"), PIECES)
def test_a_digest_is_that_of_all_bytes(tmp_path: Path, pieces: dict[int, bytes], size: int) -> None:
    path = sparse(tmp_path / "file", pieces, size)
    assert sha256_sparse(path) == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(("pieces", "size"), PIECES)
def test_a_copy_has_the_bytes_and_the_holes(
    tmp_path: Path, pieces: dict[int, bytes], size: int
) -> None:
    path, copy = sparse(tmp_path / "file", pieces, size), tmp_path / "copy"
    copy_sparse(path, copy)
    assert copy.read_bytes() == path.read_bytes()
    assert copy.stat().st_blocks <= path.stat().st_blocks
    target = sparse(tmp_path / "target", {}, size + 2 * MIB)
    copy_into(path, target, MIB)
    assert target.read_bytes() == bytes(MIB) + path.read_bytes() + bytes(MIB)
