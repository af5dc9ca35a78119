"""What is taken of the definition's own files."""

import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from osloom.base.errors import DefinitionError
from osloom.compose.ingest import ingest
from osloom.store.store import Store


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current directory, of a user whom permissions hold off, as they do not root."""
    (tmp_path / "src").mkdir()
    monkeypatch.chdir(tmp_path)
    if os.geteuid() != 0:
        yield Path()
        return
    nobody = 65534
    for path in (tmp_path, tmp_path / "src"):
        os.chown(path, nobody, nobody)
    os.seteuid(nobody)
    yield Path()
    os.seteuid(0)


def test_a_directory_is_taken_but_for_what_is_made_beside_sources(tmp_path: Path) -> None:
    source = tmp_path / "src"
    for name in (".git/HEAD", "lib/__pycache__/a.pyc", "lib/.DS_Store", "lib/a.py", "empty/.git"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text("one")
    (source / "run").write_text("two")
    (source / "run").chmod(0o700)
    (source / "link").symlink_to("nowhere")
    assert ingest(source, Store(tmp_path / "store")).dump() == {
        "/": "dir 0755",
        "/empty": "dir 0755",
        "/lib": "dir 0755",
        "/lib/a.py": "file 0644 7692c3ad",
        "/link": "symlink nowhere",
        "/run": "file 0755 3fc4ccfe",
    }


@pytest.mark.parametrize(("path", "mode"), [("src/data", 0), ("src/data", 0o400), ("src", 0o300)])
def test_a_directory_that_cannot_be_read_is_an_error(here: Path, path: str, mode: int) -> None:
    (here / "src/data").mkdir()
    (here / "src/data/file").write_text("one")
    (here / path).chmod(mode)
    with pytest.raises(DefinitionError) as caught:
        ingest(here / "src", Store(here / "store"))
    (here / path).chmod(0o700)
    place = "src/data/file" if mode == 0o400 else path
    assert caught.value.message == f"cannot read {place}: Permission denied"
    assert caught.value.hint == "let the user who builds read all below the sources of `files`"


def test_a_file_that_cannot_be_read_is_an_error_that_names_it(here: Path) -> None:
    (here / "src/secret").write_text("one")
    (here / "src/secret").chmod(0)
    with pytest.raises(DefinitionError) as caught:
        ingest(here / "src", Store(here / "store"))
    assert caught.value.message == "cannot read src/secret: Permission denied"


def test_a_large_file_is_never_in_memory_as_a_whole(tmp_path: Path) -> None:
    size = 32 << 20
    with (tmp_path / "large").open("wb") as file:
        file.truncate(size)
    store = Store(tmp_path / "store")
    tracemalloc.start()
    node = ingest(tmp_path / "large", store)[""]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < size / 4
    assert (node.size, node.digest) == (size, store.blobs.add(bytes(size)))


def test_what_the_store_has_is_not_written_again(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("one")
    store = Store(tmp_path / "store")
    digest = ingest(tmp_path / "file", store)[""].digest
    assert digest is not None
    before = store.blobs.path(digest).stat().st_ino
    assert ingest(tmp_path / "file", store)[""].digest == digest
    assert store.blobs.path(digest).stat().st_ino == before
