"""The shell programs of an appliance, in directories that stand for the device's."""

import os
from pathlib import Path

import pytest

from osloom.assemble.appliance.initrd import initrd_files
from osloom.base.command import run
from osloom.compose.appliance.units import programs
from osloom.model.appliance import LEAST_DISK, Appliance

ID = "edge-gateway"
OWN = Appliance(id=ID, version="7", architecture="amd64", epoch=0)


@pytest.fixture
def device(tmp_path: Path) -> Path:
    for directory in ("efi/EFI/Linux", "boot", "etc", "bin"):
        (tmp_path / directory).mkdir(parents=True)
    (tmp_path / "etc/os-release").write_text("IMAGE_VERSION=7\n")
    systemctl = tmp_path / "bin/systemctl"
    systemctl.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/said\n')
    systemctl.chmod(0o755)
    return tmp_path


def start_new_version(device: Path) -> bool:
    """Whether it reboots."""
    text = programs()["usr/lib/osloom/start-new-version"]
    for path in ("/etc/os-release", "/efi", "/boot"):
        text = text.replace(f" {path}", f" {device}{path}")
    environment = {**os.environ, "PATH": f"{device}/bin:{os.environ['PATH']}"}
    run(["sh", "-c", text, "start-new-version", ID], environment=environment)
    return (device / "said").exists()


@pytest.mark.parametrize(
    ("name", "reboots"),
    [
        (f"{ID}_8+3.efi", True),
        (f"{ID}_8+1-2.efi", True),
        (f"{ID}_8.efi", True),
        (f"{ID}_10+3.efi", True),
        (f"{ID}_8+0-3.efi", False),
        (f"{ID}_7.efi", False),
        (f"{ID}_6.efi", False),
        ("edge-other_8.efi", False),
    ],
)
def test_only_a_newer_version_with_tries_left_is_started(
    device: Path, name: str, *, reboots: bool
) -> None:
    (device / "efi/EFI/Linux" / name).touch()
    assert start_new_version(device) == reboots


def test_a_check_is_tried_until_it_succeeds(tmp_path: Path) -> None:
    check = tmp_path / "check"
    check.write_text(
        f"#!/bin/sh\nset -e\necho x >>{tmp_path}/tries\ntest -e {tmp_path}/tries2 || {{ touch {tmp_path}/tries2; exit 1; }}\n"
    )
    check.chmod(0o755)
    text = programs()["usr/lib/osloom/health"]
    run(["sh", "-c", text, "health", "30", str(check)])
    assert (tmp_path / "tries").read_text() == "x\nx\n"


def disks(device: Path, least: int, *arguments: str) -> str:
    """What `too-small` says of a device with a root on `vda`, of 775 MiB, and another disk, when
    the system needs `least` bytes."""
    block = device / "block"
    for path in ("vda/vda2", "vda/vda6", "vdb/vdb1", "dm-0/slaves/vda2"):
        (block / path).mkdir(parents=True)
    (block / "vda/size").write_text(f"{775 * 2048}\n")
    (block / "vdb/size").write_text("2048\n")
    text = initrd_files(OWN)["usr/lib/osloom/too-small"]
    (device / "cmdline").write_text(f"ro {LEAST_DISK}={least} console=ttyS0\n")
    places = {"/sys/class/block": block, "/dev/kmsg": device / "kmsg"}
    places["/proc/cmdline"] = device / "cmdline"
    for path, instead in places.items():
        text = text.replace(path, str(instead))
    run(["sh", "-c", text, "too-small", *arguments])
    said = device / "kmsg"
    return said.read_text().strip() if said.exists() else ""


@pytest.mark.parametrize(
    ("mebibytes", "arguments", "said"),
    [
        (1024, (), "the disk vda is too small: it has 775 MiB, and this system needs"),
        (775, (), ""),
        (775, ("vdb",), "the disk vdb is too small: it has 1 MiB, and this system needs"),
        (775, ("vdc",), ""),
    ],
)
def test_a_disk_that_is_too_small_is_named(
    device: Path, mebibytes: int, arguments: tuple[str, ...], said: str
) -> None:
    full = f"<2>osloom: {said} {mebibytes} MiB" if said else ""
    assert disks(device, mebibytes << 20, *arguments) == full
