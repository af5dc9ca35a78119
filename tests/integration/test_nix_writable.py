"""A machine with an immutable image, through two releases and back; for real."""

import shutil
import time
from pathlib import Path

import msgspec
import pytest

from integration.conftest import Workshop
from osloom.model.definition import Image
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
"/etc/fstab" = { text = "LABEL=machine /var ext4 nofail,x-systemd.device-timeout=600 0 0\\n" }
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
_APPLIANCE = """
[keys]
directory = "keys"

[image.device]
from = "base"
nix = ["./closure#app-1", "./closure#app-2"]
outputs = ["disk"]

[image.device.disk]
layout = "appliance"
filesystem = "ext4"

[image.device.update]
url = "https://updates.example.com/device/"

[image.device.systemd]
enable = ["systemd-networkd"]

[image.device.files."/etc/systemd/network/80-wired.network"]
text = "[Match]\\nType=ether\\n\\n[Network]\\nDHCP=yes\\n"
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
nix-store --verify --check-contents 2>/tmp/said || { cat /tmp/said; exit 1; }
"""
_WHOLE = "libc-1\nown\nown\nlater"


def _locked(directory: Path, store: Path, definition: str) -> Workshop:
    """A project with a flake without nixpkgs."""
    workshop = Workshop(directory, store)
    (directory / "programs").mkdir()
    programs = Programs(directory / "programs", store, "busybox-static", "e2fsprogs")
    (directory / "closure/seed/bin").mkdir(parents=True)
    shutil.copy(programs.root / "usr/bin/busybox", directory / "closure/seed/bin")
    (directory / "closure/default.nix").write_text(EXPRESSION)
    (directory / "closure/flake.nix").write_text(_FLAKE)
    (directory / "osloom.toml").write_text(definition)
    empty_disk(directory / "machine.raw", programs, "machine")
    if "[keys]" in definition:
        workshop("keys", "new").check()
    workshop("lock").check()
    return workshop


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Workshop:
    """Two releases."""
    workshop = _locked(tmp_path_factory.mktemp("edge"), store, _DEFINITION)
    workshop("build").check()
    return workshop


def _second(image: Image) -> Image:
    nix = msgspec.structs.replace(image.nix, packages=image.nix.packages[1:])
    return msgspec.structs.replace(image, nix=nix)


@pytest.mark.long
def test_an_appliance_updates_what_is_nix_s_in_it_and_keeps_what_is_added(
    tmp_path: Path, store: Path
) -> None:
    edge = _locked(tmp_path, store, _DEFINITION + _APPLIANCE)
    with edge.device("device") as (own, device):
        assert device.start() == "running"
        assert device.run("sh -lc say") == "libc-1\ncommon"
        device.run(_ADD, timeout=300)
        assert device.run(_CHECK, timeout=300) == _WHOLE
        own.publish(_second)
        device.update()
        assert device.settled(boots=3) == 2
        assert device.run("sh -lc say") == "libc-2\ncommon"
        assert device.run(_CHECK, timeout=300) == _WHOLE
        device.run(f"bootctl set-oneshot {own.id}_1.efi")
        assert device.reboot() == "running"
        assert device.run("sh -lc say") == "libc-1\ncommon"
        assert device.run(_CHECK, timeout=300) == _WHOLE
        device.send("systemctl start factory-reset.target")
        device.wait()
        assert device.run("sh -lc say") == "libc-2\ncommon"
        assert device.try_("/nix/var/nix/gcroots/mine/bin/say")[0] != 0
        device.run("nix-store --verify --check-contents")


@pytest.mark.long
def test_two_releases_and_back(edge: Workshop) -> None:
    """Each block is a boot; where it does not power off, its end is a cut of the power."""
    disk = edge.directory / "machine.raw"
    with booted(edge.directory, edge.store, "one", disk) as machine:
        assert machine.state == "running", machine.check("systemctl --failed --no-pager")
        assert machine.check("sh -lc say") == "libc-1\ncommon"
        app = machine.check("readlink -f /nix/var/nix/profiles/default/bin/say")
        machine.check(_ADD)
        assert machine.check(_CHECK) == _WHOLE
        machine.check("nix-collect-garbage")
        assert machine.check(f"{_CHECK}{app}") == f"{_WHOLE}\nlibc-1\ncommon"
        machine.power_off()
    with booted(edge.directory, edge.store, "two", disk) as machine:
        assert machine.state == "running", machine.check("systemctl --failed --no-pager")
        assert machine.check("sh -lc say") == "libc-2\ncommon"
        assert machine.check(_CHECK) == _WHOLE
        assert machine(f"nix-store --check-validity {app}").status == 1
        # What is added is kept soon after: the power may go.
        own = machine.check("readlink -f /nix/var/nix/profiles/default/bin/say")
        root = "nix-store --add-root /nix/var/nix/gcroots/say --realise"
        machine.check(f"{root} {own.removesuffix('/bin/say')}")
        kept = "sqlite3 /var/lib/nix/added.sqlite 'SELECT path FROM Path'"
        machine.check(f"until {kept} | grep -- -app-2; do sleep 1; done")
    with starting(edge.directory, edge.store, "one", disk) as running:
        while "nix-writable.service" not in running.console():
            assert running.is_alive()
            time.sleep(0.05)
        # The merge has begun, and this is the end of it.
    with booted(edge.directory, edge.store, "one", disk) as machine:
        assert machine.state == "running", machine.check("systemctl --failed --no-pager")
        assert machine.check("sh -lc say") == "libc-1\ncommon"
        assert machine.check(_CHECK) == _WHOLE
        assert machine.check(own) == "libc-2\ncommon"
        machine.check("rm -r /var/lib/nix/upper; touch /var/lib/nix/upper; sync")
    with booted(edge.directory, edge.store, "one", disk) as machine:
        assert machine.state == "degraded"
        assert machine.check("systemctl --failed --plain --no-legend | cut -d ' ' -f 1") == (
            "nix-writable.service"
        )
        assert machine.check("sh -lc say") == "libc-1\ncommon"
        said = machine.check("journalctl --boot --unit nix-writable --priority err --output cat")
        assert "what was added to /nix/store is not shown" in said
