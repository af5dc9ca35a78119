"""Nix sees no private key of a project, and nothing that osloom has made of a flake before."""

import os
import secrets
import stat
from pathlib import Path

import pytest

from osloom.sources.debian import lockfile
from support.cli import Done, osloom
from support.nix import NixWorld
from support.programs import Programs

SELF = """{ outputs = { self }: { packages.x86_64-linux.greeting = derivation {
  name = "greeting-NONCE"; system = "x86_64-linux"; builder = "BUILDER";
  args = [ ARGS "-c" "SCRIPT" ];
}; }; }
"""
ITSELF = "echo ${self} ${toString self.lastModified} > $out"


class Keyed:
    """A project whose image is of its own flake, with all keys in `keys/`."""

    def __init__(
        self, directory: Path, store: Path, script: str, *, flake: str = ".", path: str = ""
    ) -> None:
        self.directory = directory
        self.environment = {"NIX_CONFIG": "substituters =", "OSLOOM_STORE": os.fspath(store)}
        if path:
            self.environment["PATH"] = f"{path}:{os.environ['PATH']}"
        self.installable = f"{flake}#greeting"
        directory.mkdir(parents=True)
        (directory / "osloom.toml").write_text(
            f'[keys]\ndirectory = "keys"\n[image.hello]\nnix = ["{self.installable}"]\n'
            'packages = ["busybox-static"]\nconfigure = "none"\noutputs = ["tar"]\n'
        )
        text = SELF.replace("NONCE", secrets.token_hex(8)).replace("SCRIPT", script)
        # What the sandbox of the tools' Nix has, and what the world's.
        text = text.replace("BUILDER", "/usr/bin/busybox" if path else "/bin/sh")
        text = text.replace("ARGS", '"sh"' if path else "")
        (directory / "flake.nix").write_text(text)
        self("keys", "new").check()

    def __call__(self, *words: str) -> Done:
        return osloom(self.directory, *words, **self.environment)

    def greeting(self, nix: Path) -> str:
        """What the flake makes, once it is locked, in the Nix store `nix`."""
        self("lock", "--upgrade").check()
        image = lockfile.load(self.directory / "osloom.lock").images["hello"]
        (name,) = image.installables[self.installable]
        return (nix / name).read_text()

    def private(self) -> list[Path]:
        return sorted((self.directory / "keys").rglob("*.key"))


def names(source: Path) -> list[str]:
    return sorted(
        os.fspath(path.relative_to(source)) for path in source.rglob("*") if path.is_file()
    )


@pytest.fixture
def host_nix(nix_world: NixWorld, tmp_path: Path) -> str:
    """A directory with a `nix` as a host has it; its store is the world's."""
    program = tmp_path / "bin/nix"
    program.parent.mkdir()
    quoted = " ".join(f"'{word}'" for word in nix_world._inside(nix_world.directory, "", None))
    program.write_text(f'#!/bin/sh\nexec {quoted} nix "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return os.fspath(program.parent)


PUBLIC = ["keys/.gitignore", "keys/release.pub", "keys/verity.crt"]


@pytest.mark.parametrize("flake", [".", "path:."])
def test_a_flake_without_git_is_copied_without_the_keys(
    store: Path, tmp_path: Path, flake: str
) -> None:
    project = Keyed(tmp_path / "project", store, ITSELF, flake=flake)
    nix = store / "nix/nix/store"
    assert len(project.private()) == 5
    source, newest = project.greeting(nix).split()
    found = names(nix / Path(source).name)
    assert [name for name in found if "secure-boot" not in name] == [
        "flake.nix",
        *PUBLIC,
        "osloom.toml",
    ]
    assert not [name for name in found if name.endswith(".key")]

    # Nor is there what osloom makes of it, or a flake would grow with every lock.
    project("build").check()
    assert (project.directory / "dist/hello").exists()
    assert project.greeting(nix).split() == [source, newest]


def test_the_hosts_nix_gets_such_a_copy_too(
    nix_world: NixWorld, host_nix: str, tmp_path: Path
) -> None:
    # With a store that the world's Nix can see.
    project = Keyed(tmp_path / "project", tmp_path / "store", ITSELF, path=host_nix)
    nix = nix_world.directory / "nix/store"
    source, _ = project.greeting(nix).split()
    found = names(nix / Path(source).name)
    assert set(PUBLIC) < set(found)
    assert not [name for name in found if name.endswith(".key")]


@pytest.fixture(scope="module")
def git(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Programs:
    return Programs(tmp_path_factory.mktemp("git"), store, "git", "bubblewrap")


def test_no_builder_reads_a_key_that_git_ignores(
    git: Programs, store: Path, tmp_path: Path
) -> None:
    """The work tree is there as a whole, in which git ignores them: Nix asks it what counts."""
    place = tmp_path / "project"
    known = ("keys/release.key", "keys/moved/own", "keys/secure-boot/db.key")
    reads = " ".join(f"{place}/{name}" for name in ("flake.nix", *known))
    script = (
        f"for name in {reads}; do echo $name; while read line; do echo $line; done < $name; done"
    )
    project = Keyed(place, store, f"({script}) > $out")
    (place / "keys/moved").mkdir()
    (place / "keys/verity.key").rename(place / "keys/moved/own")
    (place / "keys/verity.key").symlink_to("moved/own")
    (place / ".gitignore").write_text("own\n")
    git("usr/bin/git", "-C", place, "init", "--quiet")
    git("usr/bin/git", "-C", place, "add", ".")
    said = project.greeting(store / "nix/nix/store")
    assert "outputs = " in said
    assert said.splitlines()[-3:] == [f"{place}/{name}" for name in known]


def test_a_key_that_git_knows_is_refused(git: Programs, store: Path, tmp_path: Path) -> None:
    place = tmp_path / "project"
    project = Keyed(place, store, ITSELF)
    git("usr/bin/git", "-C", place, "init", "--quiet")
    git("usr/bin/git", "-C", place, "add", ".")
    git("usr/bin/git", "-C", place, "add", "--force", "keys/verity.key")
    assert project("lock").stderr == (
        f"error: cannot take the flake `{place}`: git knows the private key "
        f"{place}/keys/verity.key, and Nix would copy it\n"
        f"hint: `git rm --cached {place}/keys/verity.key`, and name it in .gitignore\n"
    )
    assert not (place / "osloom.lock").exists()
