"""A machine with an immutable image, through two releases and back; for real."""

import shutil
import time
from pathlib import Path

import pytest

from integration.conftest import Workshop
from support.machines import booted, empty_disk, starting
from support.nix_host import EXPRESSION
from support.programs import Programs

_FLAKE = '{ outputs = _: { packages.x86_64-linux = import ./. { system = "x86_64-linux"; }; }; }\n'
_DEFINITION = """
[project]
name = "edge"

[image.base]
packages = ["systemd-sysv", "udev", "dbus", "linux-image-cloud-amd64", "nix-setup-systemd"]
users = { ann = { groups = ["nix-users"], home = "/var/home/ann" } }

[image.base.nix]
writable = true

[image.base.files]
"/srv" = "closure"
"/etc/fstab" = { text = "LABEL=machine /var ext4 defaults,nofail 0 0\\n" }
"/etc/nix/nix.conf" = { text = "experimental-features = nix-command flakes\\nsubstituters =\\n" }

[image.base.disk]
filesystem = "erofs"

[image.one]
from = "base"
nix = ["./closure#app-1"]
outputs = ["disk"]

[image.two]
from = "base"
nix = ["./closure#app-2"]
outputs = ["disk"]
"""
_ADD = """
export HOME=/root
nix-build --option sandbox false -o /nix/var/nix/gcroots/mine /srv -A mine
nix profile install --impure --option sandbox false --file /srv own
install -d -o ann /var/home/ann
su -l ann -c 'nix-build --option sandbox false -o result /srv -A later'
"""
_CHECK = """
/nix/var/nix/gcroots/mine/bin/say
cat /nix/var/nix/profiles/per-user/root/profile/says
cat /var/home/ann/result/says
nix-store --verify --check-contents >&2
"""
_OWN = "libc-1\nown\nown\nlater\n"


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Workshop:
    """Two releases, built by osloom from a flake without nixpkgs."""
    directory = tmp_path_factory.mktemp("edge")
    workshop = Workshop(directory, store)
    (directory / "programs").mkdir()
    programs = Programs(directory / "programs", store, "busybox-static", "e2fsprogs")
    (directory / "closure/seed/bin").mkdir(parents=True)
    shutil.copy(programs.root / "usr/bin/busybox", directory / "closure/seed/bin")
    (directory / "closure/default.nix").write_text(EXPRESSION)
    (directory / "closure/flake.nix").write_text(_FLAKE)
    (directory / "osloom.toml").write_text(_DEFINITION)
    empty_disk(directory / "machine.raw", programs, "machine")
    workshop("lock").check()
    workshop("build").check()
    return workshop


def test_two_releases_and_back(edge: Workshop) -> None:
    disk = edge.directory / "machine.raw"
    with booted(edge.directory, edge.store, "one", disk) as machine:
        assert machine.state == "running", machine.check("systemctl --failed --no-pager")
        assert machine.check("sh -lc say") == "libc-1\ncommon"
        app = machine.check("readlink -f /nix/var/nix/profiles/default/bin/say")
        machine.check(_ADD)
        assert machine.check(_CHECK).endswith(_OWN) is False
