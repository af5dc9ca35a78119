"""A system of the shape of NixOS as an appliance: verified, updated, and returned to."""

from pathlib import Path

import pytest

from integration.conftest import Workshop
from support.nix import NixWorld
from support.nixos import build_system, make_parts

LONG = ("health", "factory-reset")
WHOLE = """
test "$(readlink /run/current-system)" = {system}
test "$(cat /etc/greeting)" = hello
test "$(findmnt --noheadings --output FSTYPE /)" = tmpfs
test "$(findmnt --noheadings --output FSTYPE /nix/store | tail -n 1)" = erofs
! touch /nix/store/written
nix-store --verify --check-contents
grep -qx IMAGE_VERSION=7 /etc/os-release
grep -qx ID=nixos /etc/os-release
/nix/image/osloom/osloom-status | grep '"version": "7"'
"""
DEFINITION = """
[project]
name = "gate"
version = "7"
[keys]
directory = "keys"
[[nix.cache]]
url = "file://{cache}"
keys = ["{key}"]
[image.gateway]
nixos = "{system}"
outputs = ["disk"]
[image.gateway.disk]
layout = "appliance"
[image.gateway.update]
url = "https://updates.example.com/gateway/"
[image.gateway.files."/etc/greeting"]
text = "hello\\n"
[[image.gateway.health]]
run = "systemctl is-active systemd-networkd"
[[image.gateway.test]]
name = "the system is whole"
run = '''{whole}'''
"""


@pytest.fixture(scope="module")
def parts(nix_world: NixWorld, tmp_path_factory: pytest.TempPathFactory, store: Path) -> object:
    directory = tmp_path_factory.mktemp("nixos-parts")
    return make_parts(nix_world, directory / "parts", store, is_appliance=True)


@pytest.fixture(scope="module")
def appliance(
    nix_world: NixWorld, parts: object, tmp_path_factory: pytest.TempPathFactory, store: Path
) -> Workshop:
    project = tmp_path_factory.mktemp("nixos-appliance")
    system = build_system(nix_world, parts, is_appliance=True)
    cache = nix_world.copy(project / "cache", system, compression="none")
    (project / "osloom.toml").write_text(
        DEFINITION.format(
            cache=cache, key=nix_world.key, system=system, whole=WHOLE.format(system=system)
        )
    )
    workshop = Workshop(project, store)
    for words in (("keys", "new"), ("lock",), ("build",)):
        workshop(*words).check()
    return workshop


def test_its_store_is_verified_and_its_version_is_said(appliance: Workshop) -> None:
    assert appliance.verdicts() == {"boot": "passed", "the system is whole": "passed"}


@pytest.mark.long
def test_it_updates_itself(appliance: Workshop) -> None:
    assert appliance.verdicts("update") == dict.fromkeys(("boot", "update"), "passed")


@pytest.mark.long
def test_it_returns_from_what_does_not_work(appliance: Workshop) -> None:
    assert appliance.verdicts(*LONG) == dict.fromkeys(("boot", *LONG), "passed")
