"""Contents that become blobs together, or not at all."""

from pathlib import Path

import pytest

from osloom.base.digest import digest_bytes
from osloom.store.staged import staged
from osloom.store.store import Store


def files(store: Store) -> dict[str, int]:
    """Of every file below `blobs` and `tmp`, its mode."""
    return {
        str(path.relative_to(store.root)): path.stat().st_mode & 0o777
        for name in ("blobs", "tmp")
        for path in (store.root / name).rglob("*")
        if path.is_file()
    }


def place(data: bytes, suffix: str = "") -> str:
    name = digest_bytes(data)[7:]
    return f"blobs/{name[:2]}/{name[2:]}{suffix}"


def test_all_are_kept_when_the_block_ends_well(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with staged(store.blobs) as stage:
        stage.add(b"1")
        stage.add(b"1")
        stage.add(b"2", executable=True)
        stage.add_chunks([b"3", b"4"])
        stage.add_chunks([b"34"])
        assert set(files(store)).isdisjoint([place(b"1"), place(b"2", ".x"), place(b"34")])
        assert b"".join(stage.chunks(digest_bytes(b"34"))) == b"34"
        assert b"".join(stage.chunks(digest_bytes(b"2"))) == b"2"
    assert files(store) == {place(b"1"): 0o644, place(b"2", ".x"): 0o755, place(b"34"): 0o644}
    assert store.blobs.read(digest_bytes(b"34")) == b"34"


def test_none_is_kept_when_it_does_not(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.blobs.add(b"before")

    def fail() -> None:
        with staged(store.blobs) as stage:
            stage.add(b"before")
            stage.add(b"1")
            assert b"".join(stage.chunks(digest_bytes(b"before"))) == b"before"
            with stage.writer() as writer:
                writer.write(b"2")
                raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert files(store) == {place(b"before"): 0o644}
