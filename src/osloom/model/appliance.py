"""An appliance: what its versions, its slots and its other partitions are called and measure.

    ESP         systemd-boot and a UKI for each version
    slot A      root and its dm-verity hashes; the partitions' ids are the root hash's halves;
                and the signature of the root hash, where there is a key
    slot B      the same, empty until the first update
    swap, others and data    made by systemd-repart when the device boots first

https://uapi-group.org/specifications/specs/discoverable_partitions_specification/, repart.d(5)
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from osloom.base.digest import derive_uuid
from osloom.model.disk import Disk
from osloom.model.fetched import Fetched
from osloom.model.size import MIB, parse_size, whole_mib
from osloom.model.update import Health, Update
from osloom.model.verity import SIGNATURE_SIZE, hash_partition_size

if TYPE_CHECKING:
    # Definitions are checked without it, and few are of an appliance.
    from osloom.model.gpt_table import Wanted

ETC = "lib/osloom/etc"
"""Where on the data partition is what a device has changed of /etc: `upper` and `work`."""

DATA = "data"
"""Of the data partition: its label, and its name when it is unlocked."""

NIX_IMAGE = "nix/image"
"""Where an appliance that is a NixOS system has its image mounted: programs of osloom are there."""

LEAST_DISK = "osloom.least-disk"
"""The word of the kernel's command line with the bytes a disk has to have: not the initrd's matter,
which would be another for another size."""

ARCHITECTURES = {"amd64": "x86-64", "arm64": "arm64"}
"""As systemd names what Debian does, ConditionArchitecture= of systemd.unit(5)."""

_SLOW_DISK = "4min"
"""After so long a disk is not there at all."""
MOVED = {"home": "var/home", "root": "var/roothome", "srv": "var/srv"}
"""Directories of the system that are links to where they are kept."""

_ENCRYPT: Mapping[str, dict[str, str]] = {
    "none": {},
    "tpm2": {"Encrypt": "tpm2"},
    "passphrase": {"Encrypt": "key-file"},
}

Settings = dict[str, str]
"""Of one partition: the section [Partition] of repart.d(5)."""


class Appliance(msgspec.Struct, frozen=True, kw_only=True):
    """One appliance in one version."""

    id: str
    """IMAGE_ID of os-release(5); names releases and partitions."""
    version: str
    architecture: str
    epoch: int
    keep: tuple[str, ...] = ()
    """What of documentation and translations stays."""
    disk: Disk = Disk()
    update: Update = Update()
    health: tuple[Health, ...] = ()
    extensions: tuple[Fetched, ...] = ()
    """What its devices take of the channel beside it."""
    signed: bool = False
    """Whether slots have partitions with the signatures of their root hashes."""

    @property
    def name(self) -> str:
        """Of the version's files and partitions."""
        return f"{self.id}_{self.version}"

    @property
    def data_id(self) -> str:
        """Of the data partition: the same in every version."""
        return str(derive_uuid("partition", "data", self.id))

    @property
    def data_device(self) -> str:
        """What is mounted at /var, as fstab(5) has it."""
        is_plain = self.disk.data.encryption == "none"
        return f"PARTUUID={self.data_id}" if is_plain else f"/dev/mapper/{DATA}"

    @property
    def swap_device(self) -> str | None:
        """What is swapped to, as fstab(5) has it: encrypted where data are."""
        if self.disk.swap is None:
            return None
        is_plain = self.disk.data.encryption == "none"
        return f"PARTUUID={self.partition_id('/swap')}" if is_plain else "/dev/mapper/swap"

    @property
    def slot_size(self) -> int:
        """Bytes of a slot's root, in whole MiB."""
        return whole_mib(parse_size(self.disk.slot_size))

    @property
    def hash_size(self) -> int:
        """Bytes of the partition with a slot's hashes, in whole MiB."""
        return whole_mib(hash_partition_size(self.slot_size))

    @property
    def root_type(self) -> str:
        """Of a slot's root partition, as repart.d(5) and sysupdate.d(5) name it."""
        return f"root-{ARCHITECTURES[self.architecture]}"

    @property
    def hash_type(self) -> str:
        """Of the partition with a slot's hashes."""
        return f"{self.root_type}-verity"

    @property
    def signature_type(self) -> str:
        """Of the partition with the signature of a slot's root hash."""
        return f"{self.hash_type}-sig"

    def partition_id(self, name: str) -> UUID:
        """Of one of the definition's own partitions, or of one that the disk is made with."""
        return derive_uuid("partition", name, self.id)


def made_partitions(appliance: Appliance) -> "Sequence[Wanted]":
    """The partitions that the disk is made with, both slots still empty."""
    from osloom.model.gpt import EMPTY
    from osloom.model.gpt_table import NO_AUTO, READ_ONLY, Wanted

    sizes = {
        "root": (appliance.root_type, appliance.slot_size),
        "hashes": (appliance.hash_type, appliance.hash_size),
    }
    if appliance.signed:
        sizes["signature"] = (appliance.signature_type, SIGNATURE_SIZE)
    esp = Wanted(
        type="esp",
        label="esp",
        id=appliance.partition_id("/esp"),
        size=parse_size(appliance.disk.esp_size),
    )
    slots = (
        Wanted(
            type=kind,
            label=EMPTY,
            id=appliance.partition_id(f"/{name}-{letter}"),
            size=size,
            # Who looks for the newest version by labels, as systemd-dissect(1) does, must not take
            # an empty slot for one.
            attributes=READ_ONLY | NO_AUTO,
        )
        for letter in "ab"
        for name, (kind, size) in sizes.items()
    )
    return [esp, *slots]


def device_partitions(appliance: Appliance) -> Sequence[Settings]:
    """All partitions of a device, for its own systemd-repart.

    Those that are there are found by their types, in order; they keep their ids and labels.
    """
    # What is there keeps its size too: a root does not depend on that of its slot. Without a least
    # size systemd-repart would want 10 MiB of each.
    keeps = {"Weight": "0", "SizeMinBytes": "4096"}
    there = [{"Type": one.type, **keeps} for one in made_partitions(appliance)]
    return [*there, *_added_partitions(appliance)]


def _added_partitions(appliance: Appliance) -> Sequence[Settings]:
    """Those that are made on the device."""
    disk = appliance.disk
    more: list[Settings] = []
    if disk.swap is not None:
        size = _exactly(parse_size(disk.swap))
        identity = {"Label": "swap", "UUID": str(appliance.partition_id("/swap"))}
        kept = {"Format": "swap", "FactoryReset": "yes"}
        more.append({"Type": "swap", **identity, **kept, **size})
    for name, one in disk.partition.items():
        more.append(
            {
                "Type": "linux-generic",
                "Label": name,
                "UUID": str(appliance.partition_id(name)),
                **({} if one.filesystem == "none" else {"Format": one.filesystem}),
                **({} if one.keep else {"FactoryReset": "yes"}),
                **_exactly(parse_size(one.size)),
            }
        )
    data = {
        "Type": "linux-generic",
        "Label": DATA,
        "UUID": appliance.data_id,
        "Format": disk.data.filesystem,
        "MakeDirectories": f"/{ETC}/upper /{ETC}/work",
        "FactoryReset": "yes",
        "SizeMinBytes": str(parse_size(disk.data.minimum_size)),
        **_ENCRYPT[disk.data.encryption],
    }
    return [*more, data]


def fits_esp(uki: int, esp: int) -> bool:
    """Whether two versions have room beside the boot loader; all in bytes."""
    return 2 * uki + 2 * MIB <= esp * 9 // 10


def made_size(appliance: Appliance) -> int:
    """Bytes of the disk as it is made: ESP, slots and the partition tables."""
    return _least(one.size for one in made_partitions(appliance))


def least_disk_size(appliance: Appliance) -> int:
    """Bytes that a device's disk has to have: data are as small as they may be."""
    made = (one.size for one in made_partitions(appliance))
    return _least([*made, *(int(one["SizeMinBytes"]) for one in _added_partitions(appliance))])


def _least(sizes: Iterable[int]) -> int:
    # One MiB before the partitions, and a table behind them.
    return whole_mib(sum(sizes)) + 2 * MIB


def repart_files(partitions: Sequence[Settings]) -> Mapping[str, str]:
    """Definition files for systemd-repart, by name; they are read in the names' order."""
    return {
        f"{number:02}-{one.get('Label', one['Type']).lstrip('_')}.conf": "[Partition]\n"
        + "".join(f"{key}={value}\n" for key, value in one.items())
        for number, one in enumerate(partitions, 10)
    }


def fstab(appliance: Appliance) -> str:
    """fstab(5) of the device. The initrd mounts /var by a unit of its own, not by this line: its
    `x-initrd.mount` has the system leave /var mounted until the end.
    """
    kind = appliance.disk.data.filesystem
    options = "x-initrd.mount,x-systemd.growfs,noatime"
    if appliance.disk.data.encryption != "none":
        # Who types a key may take their time.
        options += ",x-systemd.device-timeout=infinity"
    lines = [f"{appliance.data_device} /var {kind} {options} 0 2"]
    if appliance.swap_device is not None:
        lines.append(f"{appliance.swap_device} none swap nofail 0 0")
    for name, place in mounts(appliance.disk).items():
        one, identity = appliance.disk.partition[name], appliance.partition_id(name)
        lines.append(f"PARTUUID={identity} {place} {one.filesystem} noatime,nofail 0 2")
    return "".join(f"{line}\n" for line in lines)


def crypttab(appliance: Appliance) -> str | None:
    """crypttab(5) of the device: swap, whose key each boot makes and forgets."""
    if appliance.swap_device is None or appliance.disk.data.encryption == "none":
        return None
    device = f"PARTUUID={appliance.partition_id('/swap')}"
    return f"swap {device} /dev/urandom swap,cipher=aes-xts-plain64,size=512,nofail\n"


def mounts(disk: Disk) -> Mapping[str, str]:
    """Where the definition's own partitions are mounted, by name: no path there is a link."""
    made = {}
    for name, one in disk.partition.items():
        if one.mount is not None:
            first, *rest = one.mount.strip("/").split("/")
            made[name] = "/" + "/".join([MOVED.get(first, first), *rest])
    return made


def manager_settings(appliance: Appliance) -> Mapping[str, str]:
    """Settings of PID 1 in the initrd and in the system, by path; systemd-system.conf(5)."""
    text = f"""\
[Manager]
RuntimeWatchdogSec={appliance.update.watchdog}
DefaultDeviceTimeoutSec={_SLOW_DISK}
"""
    return {"usr/lib/systemd/system.conf.d/50-osloom.conf": text}


def _exactly(size: int) -> Settings:
    """A partition of `size` bytes, neither smaller nor larger."""
    return {"SizeMinBytes": str(size), "SizeMaxBytes": str(size)}
