"""What Nix gets of local flakes: no private key, and nothing that osloom has written."""

import json
import os
from pathlib import Path

import pytest

from osloom.base.errors import LockError
from osloom.sources.nix.flake_files import Copies, check_private, digest_of_files, identities
from osloom.sources.nix.flakes import Flake, resolve_flake

LATER = 2_000_000_000


def make(directory: Path, *names: str) -> Path:
    for name in names:
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(name)
    return directory


def copies(tmp_path: Path, *keys: Path, written: tuple[Path, ...] = ()) -> Copies:
    (tmp_path / "copies").mkdir()
    return Copies(tmp_path / "copies", keys=keys, written=written)


def files(flake: Flake) -> list[str]:
    assert flake.directory is not None
    found = (path.relative_to(flake.directory) for path in flake.directory.rglob("*"))
    return sorted(os.fspath(path) for path in found)


def test_a_copy_has_all_but_keys_and_what_is_written(tmp_path: Path) -> None:
    top = make(tmp_path / "flake", "flake.nix", "keys/a.key", "keys/a.pub", "images/dist/old")
    make(top, "dist/old", "result-bin", ".git/HEAD", "osloom.lock", "images/osloom.lock", "bin/run")
    (top / "copied.pem").hardlink_to(top / "keys/a.key")
    (top / "link").symlink_to("keys/a.key")
    (top / "bin/run").chmod(0o755)
    (top / "empty").mkdir()
    own = copies(tmp_path, top / "keys/a.key", written=(top / "images/dist",))
    flake = resolve_flake("path:../flake?dir=images", tmp_path / "project")
    shown = own.shown(flake)
    assert shown == own.shown(flake)
    assert shown.directory is not None
    assert shown.reference == f"path:{shown.directory}?dir=images"
    assert files(shown) == [
        *("bin", "bin/run", "empty", "flake.nix", "images", "keys", "keys/a.pub", "link")
    ]
    assert os.access(shown.directory / "bin/run", os.X_OK)
    assert (shown.directory / "link").readlink() == Path("keys/a.key")
    assert own.named(f"in {shown.directory}/flake.nix") == f"in {top}/flake.nix"


def test_the_newest_file_is_as_new_as_before(tmp_path: Path) -> None:
    top = make(tmp_path / "flake", "flake.nix", "below/file")
    os.utime(top / "below/file", (LATER, LATER))
    os.utime(top, (LATER + 1, LATER + 1))
    place = copies(tmp_path).shown(resolve_flake("path:.", top)).directory
    assert place is not None
    assert max(path.stat().st_mtime for path in (place, *place.rglob("*"))) == LATER


def test_a_new_key_is_no_change_of_a_flake(tmp_path: Path) -> None:
    flake = resolve_flake("path:.", make(tmp_path, "flake.nix", "keys/a.pub"))
    before = digest_of_files(flake)
    make(tmp_path, "keys/a.key")
    assert digest_of_files(flake, identities([tmp_path / "keys/a.key"])) == before
    assert digest_of_files(flake) != before


def test_what_nix_cannot_copy_is_named(tmp_path: Path) -> None:
    top = make(tmp_path / "flake", "flake.nix")
    os.mkfifo(top / "pipe")
    with pytest.raises(LockError) as caught:
        copies(tmp_path).shown(resolve_flake("path:.", top))
    assert (caught.value.message, caught.value.hint) == (
        f"cannot take the flake `path:{top}`: {top}/pipe is neither file, directory nor link",
        "remove it, or keep the flake in a work tree of git",
    )


def test_an_input_with_a_private_key_is_refused(tmp_path: Path) -> None:
    other = make(tmp_path / "other", "flake.nix", "keys/a.key")
    top = make(tmp_path / "flake", "sub/flake.nix")
    locked = {"locked": {"type": "path", "path": os.fspath(other)}}
    (top / "sub/flake.lock").write_text(json.dumps({"nodes": {"other": locked}}))
    flake = resolve_flake("path:.?dir=sub", top)
    check_private(flake, [top / "elsewhere.key"])
    with pytest.raises(LockError) as caught:
        check_private(flake, [other / "keys/a.key"])
    assert caught.value.message == (
        f"cannot take the input `path:{other}` of the flake `path:{top}?dir=sub`: the private key "
        f"{other}/keys/a.key is in it, and Nix would copy it"
    )
    assert caught.value.hint == (
        "keep the keys outside of it, or in a work tree of git that ignores them"
    )
