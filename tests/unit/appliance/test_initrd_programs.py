"""The shell programs of an appliance's initrd, with no command that an initrd does not have."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from osloom.assemble.appliance.initrd import initrd_files
from osloom.model.appliance import Appliance
from osloom.model.disk import Data, Disk

OWN = Appliance(
    id="edge-gateway",
    version="7",
    architecture="amd64",
    epoch=0,
    disk=Disk(data=Data(encryption="passphrase")),
)
COMMANDS = {
    "chattr": "",
    "mount": 'mkdir -p "$4" && rmdir "$4" && ln -s "$0.esp" "$4"',
    "umount": 'rm "$1"',
    "systemctl": "",
    "systemd-ask-password": "cat $0.typed",
    "systemd-repart": 'test "$2" = --key-file=/dev/stdin && cat >$0.key; exit 0',
    "udevadm": "",
}
"""What is not of the shell: the packages `systemd`, `udev`, `mount` and `e2fsprogs` have it."""
WANTED = "efivars/FactoryReset-8cf2644b-4b0b-428f-9387-6d876050dc67"
DEFAULT = "efivars/LoaderEntryDefault-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
YES = b"\7\0\0\0y\0e\0s\0\0\0"
FORGOTTEN = b"\7\0\0\0"
"""What the kernel takes the variable away for."""


class Device:
    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("bin", "efivars", "credentials", "bin/mount.esp/loader", "names"):
            (root / name).mkdir(parents=True)
        tools = os.environ["PATH"]
        for name, text in COMMANDS.items():
            program = root / "bin" / name
            line = f'echo "{name} $*" >>{root}/said'
            program.write_text(f"#!/bin/sh\nPATH={tools}\n{line}\n{text}\n")
            program.chmod(0o755)
        (root / "cmdline").write_text("ro quiet\n")

    def run(self, name: str, *words: str) -> int:
        text = initrd_files(OWN)[f"usr/lib/osloom/{name}"]
        for old, new in (
            ("/sys/firmware/efi/efivars", self.root / "efivars"),
            ("/dev/kmsg", self.root / "kmsg"),
            ("/dev/disk/by-partuuid", self.root / "names"),
            ("/proc/cmdline", self.root / "cmdline"),
        ):
            text = text.replace(old, str(new))
        shell = shutil.which("sh")
        assert shell is not None
        done = subprocess.run(
            [shell, "-c", text, name, *words],
            env={
                "PATH": str(self.root / "bin"),
                "CREDENTIALS_DIRECTORY": str(self.root / "credentials"),
                "RUNTIME_DIRECTORY": str(self.root / "esp"),
            },
            capture_output=True,
            check=False,
        )
        assert b"not found" not in done.stderr, done.stderr
        return done.returncode

    def read(self, name: str) -> bytes | None:
        path = self.root / name
        return path.read_bytes() if path.exists() else None

    @property
    def said(self) -> list[str]:
        return (self.read("said") or b"").decode().splitlines()


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path)


def test_the_menu_asks_for_a_reset_and_starts_anew(device: Device) -> None:
    assert device.run("factory-reset", "menu") == 0
    assert device.read(WANTED) == YES
    assert device.said == ["systemctl reboot --force"]


@pytest.mark.parametrize(
    ("entry", "left"),
    [("edge_7.efi@factory-reset", FORGOTTEN), ("edge_7.efi", None)],
)
def test_an_entry_that_was_made_the_default_resets_once(
    device: Device, entry: str, left: bytes | None
) -> None:
    content = b"\7\0\0\0" + f"{entry}\0".encode("utf-16-le")
    (device.root / DEFAULT).write_bytes(content)
    assert device.run("factory-reset", "menu") == 0
    assert device.read(DEFAULT) == (left or content)


def test_firmware_that_keeps_nothing_resets_nothing(device: Device) -> None:
    (device.root / "efivars").rmdir()
    assert device.run("factory-reset", "menu") == 0
    assert device.said == ["systemctl reboot --force"]
    assert b"the firmware keeps no variables" in (device.read("kmsg") or b"")


def credential(device: Device, value: str) -> bytes | None:
    """Whether a boot with it asks for a reset; systemd-repart then does it."""
    (device.root / "credentials/osloom.factory-reset").write_text(value)
    assert device.run("factory-reset", "credential", "esp-id") == 0
    asked = device.read(WANTED)
    (device.root / WANTED).unlink(missing_ok=True)
    return asked


def test_a_credential_resets_once_for_each_of_its_values(device: Device) -> None:
    asked = [credential(device, value) for value in ("a", "a", "b", "b", "", "a")]
    assert asked == [YES, None, YES, None, YES, YES]
    assert not (device.root / "esp").exists(), "the ESP is still mounted"


def test_a_reset_that_cannot_be_noted_is_none(device: Device) -> None:
    (device.root / "bin/mount.esp/loader").rmdir()
    (device.root / "credentials/osloom.factory-reset").write_text("a")
    assert device.run("factory-reset", "credential", "esp-id") == 1
    assert device.read(WANTED) == FORGOTTEN


def test_what_was_done_is_not_asked_for_any_more(device: Device) -> None:
    assert device.run("factory-reset", "done") == 0
    (device.root / WANTED).write_bytes(YES)
    assert device.run("factory-reset", "done") == 0
    assert device.read(WANTED) == FORGOTTEN


@pytest.mark.parametrize(
    ("there", "wanted", "line", "asks"),
    [
        (False, False, "ro", True),
        (True, False, "ro", False),
        (True, True, "ro", True),
        (True, False, "ro systemd.factory_reset=yes", True),
    ],
)
def test_a_passphrase_is_chosen_when_data_are_made(
    device: Device, line: str, *, there: bool, wanted: bool, asks: bool
) -> None:
    (device.root / "bin/systemd-ask-password.typed").write_text("my \\secret")
    (device.root / "cmdline").write_text(f"{line}\n")
    if there:
        (device.root / "names/data-id").touch()
    if wanted:
        (device.root / WANTED).write_bytes(YES)
    assert device.run("make-partitions", "data-id") == 0
    assert device.read("bin/systemd-repart.key") == (b"my \\secret" if asks else None)
    assert device.said[-1].startswith("systemd-repart --dry-run=no")
