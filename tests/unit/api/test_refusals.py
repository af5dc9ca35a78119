"""What scenarios tamper with."""

from pathlib import Path

from osloom.api.scenarios.refusals import last_new_block
from osloom.model.verity import BLOCK


def root(place: Path, *blocks: bytes) -> Path:
    place.write_bytes(b"".join(one * BLOCK for one in blocks))
    return place


def test_what_is_tampered_with_is_what_no_root_before_has(tmp_path: Path) -> None:
    first = root(tmp_path / "1", b"a", b"b", b"c")
    second = root(tmp_path / "2", b"a", b"x")
    newest = root(tmp_path / "3", b"a", b"n", b"b", b"c")
    assert last_new_block(newest, [second]) == 3 * BLOCK
    # A device with the first version would take that block from its own disk.
    assert last_new_block(newest, [first, second]) == 1 * BLOCK
