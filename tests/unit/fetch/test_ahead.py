"""What is brought to a directory ahead of its time is there at once when it is written."""

from pathlib import Path

import pytest

from osloom.fetch.storage.directory import Directory

_SIZE = 3 << 20


@pytest.fixture
def content(tmp_path: Path) -> Path:
    path = tmp_path / "content"
    path.write_bytes(bytes(range(256)) * (_SIZE // 256))
    return path


@pytest.fixture
def storage(tmp_path: Path) -> Directory:
    (tmp_path / "channel").mkdir()
    return Directory(tmp_path / "channel")


def copies(directory: Path) -> list[Path]:
    return [one for one in directory.glob(".incoming-*/*") if one.is_file()]


def test_a_copy_is_what_is_written(tmp_path: Path, storage: Directory, content: Path) -> None:
    storage.bring(content)
    with storage.hold():
        storage.write("a.root", content, kind="")
        (written,) = (one for one in (tmp_path / "channel").iterdir() if one.name == "a.root")
        assert written.read_bytes() == content.read_bytes()
        assert written.stat().st_mode & 0o777 == 0o644
        assert copies(tmp_path / "channel") == []
        # There was one copy: the next is made now.
        storage.write("b.root", content, kind="")
    storage.close()
    assert sorted(one.name for one in (tmp_path / "channel").iterdir()) == [
        ".lock",
        "a.root",
        "b.root",
    ]


def test_several_wait_side_by_side(tmp_path: Path, storage: Directory, content: Path) -> None:
    others = [tmp_path / str(number) for number in range(4)]
    for number, other in enumerate(others):
        other.write_bytes(bytes([number]) * _SIZE)
        storage.bring(other)
        if number == 1:
            storage.write("0", others[0], kind="")
    for number, other in enumerate(others[1:], 1):
        storage.write(str(number), other, kind="")
    for number in range(4):
        assert storage.read(str(number), limit=_SIZE) == bytes([number]) * _SIZE
    storage.bring(content)
    storage.close()
    assert not list((tmp_path / "channel").glob(".incoming*"))


def test_what_is_small_or_has_no_directory_yet_is_not_brought(
    tmp_path: Path, storage: Directory, content: Path
) -> None:
    small = tmp_path / "small"
    small.write_bytes(b"x")
    storage.bring(small)
    other = Directory(tmp_path / "none")
    other.bring(content)
    assert not (tmp_path / "none").exists()
    assert not list((tmp_path / "channel").glob(".incoming*"))
    other.write("a", content, kind="")
    assert other.read("a", limit=_SIZE) == content.read_bytes()
    other.close()


def test_a_copy_that_cannot_be_made_is_none(
    tmp_path: Path, storage: Directory, content: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("osloom.fetch.storage.ahead.copy_sparse", full)
    storage.bring(content)
    storage.write("a", content, kind="")
    assert storage.read("a", limit=_SIZE) == content.read_bytes()
    storage.close()
    assert not list((tmp_path / "channel").glob(".incoming*"))
