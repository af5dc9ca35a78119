"""What Nix hears of a definition's flakes, and which files of theirs count."""

import json
import os
import struct
from itertools import takewhile
from pathlib import Path

import pytest

from osloom.base.errors import LockError
from osloom.model.definition import Image, NixPackages
from osloom.model.providers import Nix
from osloom.sources.nix.flake_files import digest_of_files
from osloom.sources.nix.flakes import (
    attributes,
    check_flake,
    evaluation_of,
    resolve_flake,
    resolve_installable,
    visible,
)
from osloom.sources.nix.git_index import parse_index


def test_paths_start_beside_the_definition(tmp_path: Path) -> None:
    def resolved(reference: str) -> tuple[str, Path | None]:
        flake = resolve_flake(reference, tmp_path / "project")
        return flake.reference, flake.directory

    assert resolved(".") == (f"{tmp_path}/project", tmp_path / "project")
    assert resolved("./a/../b?dir=c") == (f"{tmp_path}/project/b?dir=c", tmp_path / "project/b")
    assert resolved("path:../other") == (f"path:{tmp_path}/other", tmp_path / "other")
    assert resolved("/srv/flake") == ("/srv/flake", Path("/srv/flake"))
    assert resolved("git+file:///srv/flake?ref=x")[1] == Path("/srv/flake")
    for elsewhere in ("nixpkgs", "github:owner/flake", "flake:nixpkgs/nixos-25.11"):
        assert resolved(elsewhere) == (elsewhere, None)


def test_a_directory_below_a_flake_is_of_it(tmp_path: Path) -> None:
    (tmp_path / "flake.nix").write_text("")
    (tmp_path / "images").mkdir()
    assert resolve_flake(".", tmp_path / "images").directory == tmp_path
    # With a scheme, Nix looks nowhere else.
    assert resolve_flake("path:.", tmp_path / "images").directory == tmp_path / "images"


@pytest.mark.parametrize("reference", ["path:", "path:?dir=sub", ""])
def test_a_flake_without_a_path_is_refused(tmp_path: Path, reference: str) -> None:
    with pytest.raises(LockError) as caught:
        resolve_flake(reference, tmp_path)
    assert (caught.value.message, caught.value.hint) == (
        f"cannot lock from the flake `{reference}`: it names no path",
        "write `path:.` for the definition's own directory",
    )


@pytest.mark.parametrize(
    ("installable", "where"),
    [
        (".#x", "/project or above"),
        ("./app#x", "/project/app or above"),
        ("..#x", " or above"),
        (".?dir=sub#x", "/project/sub or above"),
        ("path:.#x", "/project"),
        ("mine#x", "/project/mine"),
    ],
)
def test_where_no_flake_is_nix_is_not_asked(tmp_path: Path, installable: str, where: str) -> None:
    with pytest.raises(LockError) as caught:
        check_flake(installable, {"mine": "path:./mine"}, tmp_path / "project")
    assert caught.value.message == (
        f"cannot lock `{installable}`: there is no flake.nix in {tmp_path}{where}"
    )
    assert caught.value.hint == (
        "say where the flake is, from the definition's directory: `./DIRECTORY#x`"
    )


@pytest.mark.parametrize(
    "installable", [".#x", "./app#x", "path:..#x", "../?dir=sub#x", "git+file:.#x", "nixpkgs#x"]
)
def test_where_a_flake_is_or_may_be_nix_is_asked(tmp_path: Path, installable: str) -> None:
    (tmp_path / "sub").mkdir()
    for place in (tmp_path, tmp_path / "sub"):
        (place / "flake.nix").write_text("")
    check_flake(installable, {}, tmp_path / "project")


def test_an_override_of_a_name_is_another_flake(tmp_path: Path) -> None:
    overrides = {"nixpkgs": "github:NixOS/nixpkgs/nixos-25.11", "mine": "path:./mine"}
    for said in ("nixpkgs#hello", "flake:nixpkgs#hello", "nixpkgs/nixos-unstable#hello"):
        flake, attribute = resolve_installable(said, overrides, tmp_path)
        assert (flake.reference, attribute) == ("github:NixOS/nixpkgs/nixos-25.11", "hello")
    flake, _ = resolve_installable("mine#app", overrides, tmp_path)
    assert flake.directory == tmp_path / "mine"
    flake, _ = resolve_installable("github:nixpkgs/other#app", overrides, tmp_path)
    assert flake.reference == "github:nixpkgs/other"


@pytest.mark.parametrize(
    ("attribute", "nixos", "found"),
    [
        ("app", False, ("packages.S.app", "legacyPackages.S.app", "app")),
        ("a.b^dev", False, ("packages.S.a.b^dev", "legacyPackages.S.a.b^dev", "a.b^dev")),
        ("packages.x.app", False, ("packages.x.app",)),
        ("nixosConfigurations.g", True, ("nixosConfigurations.g.config.system.build.toplevel",)),
        ("nixosConfigurations.g", False, ("nixosConfigurations.g.config.system.build.toplevel",)),
        ("g", True, ("nixosConfigurations.g.config.system.build.toplevel",)),
        ("packages.S.toplevel", True, ("packages.S.toplevel",)),
        (
            "nixosConfigurations.g.config.system.build.toplevel",
            True,
            ("nixosConfigurations.g.config.system.build.toplevel",),
        ),
    ],
)
def test_attributes_are_looked_for_as_nix_does(
    attribute: str, nixos: bool, found: tuple[str, ...]
) -> None:
    assert attributes(attribute, system="S", nixos=nixos) == found


def test_what_decides_an_evaluation_is_system_inputs_and_what_it_is_for() -> None:
    image = Image(nix=NixPackages(packages=(".#app",)))
    plain = evaluation_of(image, Nix())
    assert plain is not None
    assert plain == evaluation_of(Image(nix=NixPackages(packages=("x#y",))), Nix())
    others = [
        evaluation_of(image, Nix(system="i686-linux")),
        evaluation_of(image, Nix(overrides={"nixpkgs": "path:."})),
        evaluation_of(Image(nix=image.nix, architecture="arm64"), Nix()),
        evaluation_of(Image(nixos=".#app"), Nix()),
    ]
    assert len({plain, *others}) == 5
    path = f"/nix/store/{'0' * 32}-app"
    assert evaluation_of(Image(nix=NixPackages(packages=(path,))), Nix()) is None


def test_any_change_of_a_file_is_one_of_its_flake(tmp_path: Path) -> None:
    flake = resolve_flake("path:.", tmp_path)
    (tmp_path / "flake.nix").write_text("{ }")
    (tmp_path / "below").mkdir()
    seen = [digest_of_files(flake)]

    def is_new() -> bool:
        seen.append(digest_of_files(flake))
        return seen[-1] not in seen[:-1]

    (tmp_path / "below/file").write_text("one")
    assert is_new()
    (tmp_path / "below/file").write_text("two")
    assert is_new()
    (tmp_path / "below/file").chmod(0o755)
    assert is_new()
    (tmp_path / "below/file").rename(tmp_path / "below/renamed")
    assert is_new()
    (tmp_path / "link").symlink_to("one")
    assert is_new()
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to("two")
    assert is_new()
    # What osloom and Nix write beside it.
    (tmp_path / "osloom.lock").write_text("{}")
    (tmp_path / "dist/app").mkdir(parents=True)
    (tmp_path / "dist/app/app.tar").write_text("")
    (tmp_path / "result").symlink_to("/nix/store")
    assert not is_new()


def test_a_flake_that_is_nowhere_is_said(tmp_path: Path) -> None:
    with pytest.raises(LockError) as caught:
        digest_of_files(resolve_flake("path:nowhere", tmp_path))
    where = tmp_path / "nowhere"
    said = f"cannot read the flake `path:{where}`: {where}: No such file or directory"
    assert caught.value.message == said


def test_nix_sees_inputs_that_are_on_this_machine(tmp_path: Path) -> None:
    for name in ("flake", "one", "two"):
        (tmp_path / name).mkdir()
    nodes = {
        "root": {"inputs": {"one": "one", "two": "two", "far": "far"}},
        "one": {"locked": {"type": "path", "path": str(tmp_path / "one")}},
        "two": {"locked": {"type": "git", "url": f"file://{tmp_path}/two"}},
        "far": {"locked": {"type": "github", "owner": "o", "repo": "r"}},
        "gone": {"locked": {"type": "path", "path": "/does/not/exist"}},
    }
    (tmp_path / "flake/flake.lock").write_text(json.dumps({"nodes": nodes, "root": "root"}))
    flake = resolve_flake("path:.", tmp_path / "flake")
    assert list(visible(flake)) == [tmp_path / name for name in ("flake", "one", "two")]


def test_nix_sees_the_repository_of_a_work_tree(tmp_path: Path) -> None:
    own = tmp_path / "main/.git/worktrees/other"
    own.mkdir(parents=True)
    (own / "commondir").write_text("../..\n")
    (tmp_path / "other/flake").mkdir(parents=True)
    (tmp_path / "other/.git").write_text(f"gitdir: {own}\n")
    flake = resolve_flake(".", tmp_path / "other/flake")
    assert list(visible(flake)) == [tmp_path / "other", own, tmp_path / "main/.git"]
    # With `path:`, git has no part in it.
    flake = resolve_flake("path:.", tmp_path / "other/flake")
    assert list(visible(flake)) == [tmp_path / "other/flake"]


def index(version: int, names: list[bytes], *, extended: bool = False) -> bytes:
    """As git writes it, without extensions and checksum."""
    data, before = b"DIRC" + struct.pack(">II", version, len(names)), b""
    for name in names:
        flags = min(len(name), 0xFFF) | (0x4000 if extended else 0)
        entry = bytes(60) + struct.pack(">H", flags) + (bytes(2) if extended else b"")
        if version == 4:
            pairs = zip(before, name, strict=False)
            common = len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))
            entry += bytes([len(before) - common]) + name[common:] + b"\0"
            before = name
        else:
            entry += name
            entry += bytes(8 - len(entry) % 8)
        data += entry
    return data


NAMES = [b"a", b"directory/file", b"directory/file2", "grüße".encode(), b"x" * 40]


@pytest.mark.parametrize(("version", "extended"), [(2, False), (3, True), (4, False), (4, True)])
def test_an_index_of_git_names_its_files(version: int, extended: bool) -> None:
    names = parse_index(index(version, NAMES, extended=extended))
    assert names == [os.fsdecode(name) for name in NAMES]


def test_what_is_no_index_is_refused(tmp_path: Path) -> None:
    whole = index(2, NAMES)
    for cut in (0, 4, 11, 40, len(whole) - 48):
        with pytest.raises((ValueError, IndexError)):
            parse_index(whole[:cut])
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/index").write_bytes(b"nothing")
    with pytest.raises(LockError, match="it is no index of git"):
        digest_of_files(resolve_flake(".", tmp_path))
