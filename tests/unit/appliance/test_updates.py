"""What a device is told of updates: transfer files, units, and who is trusted."""

import re

import msgspec
import pytest

from osloom.assemble.appliance.initrd import early_modules, initrd_files
from osloom.compose.appliance.units import units, wanted
from osloom.compose.appliance.update import transfers
from osloom.model.appliance import Appliance, least_disk_size
from osloom.model.disk import Data, Disk
from osloom.model.emergency import emergency_units
from osloom.model.update import Health, Update

OWN = Appliance(
    id="edge-gateway",
    version="7",
    architecture="amd64",
    epoch=0,
    update=Update(url="https://updates.example.com/gateway/", tries=5),
    health=(Health(run="true"), Health(run="false", name="door", timeout=5)),
)
SYSTEM = "usr/lib/systemd/system"


def test_the_uki_is_replaced_last() -> None:
    made = transfers(OWN)
    assert list(made) == sorted(made)
    assert list(made)[-1] == "90-uki.transfer"
    assert [line for line in made["90-uki.transfer"].splitlines() if "=" in line] == [
        "ProtectVersion=%A",
        "Verify=yes",
        "Type=url-file",
        "Path=https://updates.example.com/gateway/",
        "MatchPattern=edge-gateway_@v.efi",
        "Type=regular-file",
        "Path=/EFI/Linux",
        "PathRelativeTo=esp",
        "MatchPattern=edge-gateway_@v+@l-@d.efi edge-gateway_@v+@l.efi edge-gateway_@v.efi",
        "Mode=0444",
        "TriesLeft=5",
        "TriesDone=0",
        "InstancesMax=2",
    ]


def test_every_transfer_is_verified_and_keeps_what_runs() -> None:
    for text in transfers(OWN).values():
        assert "Verify=yes\n" in text
        assert "ProtectVersion=%A\n" in text
        assert "InstancesMax=2\n" in text


def test_an_address_is_no_specifier() -> None:
    url = "https://updates.example.com/a%20b/$c/"
    odd = msgspec.structs.replace(OWN, update=Update(url=url))
    assert "Path=https://updates.example.com/a%%20b/$c/\n" in transfers(odd)["90-uki.transfer"]
    unit = units(odd)[f"{SYSTEM}/osloom-update.service"]
    # `:` keeps systemd from putting variables in, systemd.service(5).
    command = "ExecStart=:/usr/lib/osloom/update https://updates.example.com/a%%20b/$c/\n"
    assert command in unit


def test_without_an_address_nothing_looks_for_updates() -> None:
    alone = msgspec.structs.replace(OWN, update=Update())
    assert transfers(alone) == {}
    assert not [path for path in (*units(alone), *wanted(alone)) if "update" in path]


@pytest.mark.parametrize(
    ("reboot", "at_once", "window"),
    [("now", True, None), ("never", False, None), ("Sun 03:00", False, "OnCalendar=Sun 03:00")],
)
def test_a_new_version_starts_when_it_may(
    reboot: str, window: str | None, *, at_once: bool
) -> None:
    own = msgspec.structs.replace(OWN, update=Update(url="https://h.example/", reboot=reboot))
    made = units(own)
    assert ("start-new-version" in made[f"{SYSTEM}/osloom-update.service"]) == at_once
    timer = made.get(f"{SYSTEM}/osloom-reboot.timer")
    assert (timer is not None) == (window is not None)
    assert window is None or window in (timer or "").splitlines()
    assert (f"{SYSTEM}/timers.target.wants/osloom-reboot.timer" in wanted(own)) == bool(window)


def test_a_boot_is_good_when_every_check_has_succeeded() -> None:
    required = [path for path in wanted(OWN) if "/boot-complete.target.requires/" in path]
    assert [path.rpartition("/")[2] for path in required] == [
        "systemd-boot-check-no-failures.service",
        "osloom-health-1.service",
        "osloom-health-2.service",
    ]
    door = units(OWN)[f"{SYSTEM}/osloom-health-2.service"]
    assert "Description=Health check door\n" in door
    assert "Before=boot-complete.target\n" in door
    assert "/health 5 /usr/lib/osloom/health.d/2\n" in door


@pytest.mark.parametrize(
    ("encryption", "crypttab"),
    [
        ("none", None),
        ("tpm2", "tpm2-device=auto,noauto,x-initrd.attach"),
        ("passphrase", "password-cache=yes,noauto,x-initrd.attach"),
    ],
)
def test_the_initrd_opens_the_data_partition(encryption: str, crypttab: str | None) -> None:
    disk = msgspec.convert({"layout": "appliance", "data": {"encryption": encryption}}, Disk)
    own = msgspec.structs.replace(OWN, disk=disk)
    line = initrd_files(own).get("etc/crypttab")
    expected = f"data PARTUUID={own.data_id} - {crypttab}\n" if crypttab else None
    assert line == expected


@pytest.mark.parametrize("encryption", ["none", "tpm2", "passphrase"])
def test_nothing_holds_the_data_partition_before_it_is_made_or_reset(encryption: str) -> None:
    disk = msgspec.convert({"layout": "appliance", "data": {"encryption": encryption}}, Disk)
    made = initrd_files(msgspec.structs.replace(OWN, disk=disk))
    holders = [
        name for name in made if re.search("/(sysroot-var|systemd-(fsck|cryptsetup)@)", name)
    ]
    assert len(holders) == (2 if encryption == "none" else 3)
    for name in holders:
        assert "\nAfter=systemd-repart.service" in made[name], name


def test_the_initrd_has_the_file_system_of_the_data() -> None:
    btrfs = msgspec.structs.replace(OWN, disk=Disk(data=Data(filesystem="btrfs")))
    assert "fs/btrfs/" in early_modules(btrfs)
    assert "fs/(ext4|jbd2)/" not in early_modules(btrfs)
    assert "fs/(ext4|jbd2)/" in early_modules(OWN)


def test_the_initrd_does_not_depend_on_how_large_a_disk_has_to_be() -> None:
    other = msgspec.structs.replace(OWN, disk=Disk(esp_size="777M", slot_size="2G"))
    assert least_disk_size(other) != least_disk_size(OWN)
    assert initrd_files(other) == initrd_files(OWN)
    for unit, arguments in (("osloom-cut-off@", " %i"), ("osloom-no-room", "")):
        lines = initrd_files(OWN)[f"{SYSTEM}/{unit}.service"].splitlines()
        program = "ExecStart=/bin/sh /usr/lib/osloom/too-small"
        assert [line for line in lines if "too-small" in line] == [program + arguments]


def test_a_boot_that_fails_in_the_initrd_begins_anew() -> None:
    assert emergency_units().items() <= initrd_files(OWN).items()
