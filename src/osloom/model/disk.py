"""Disks, as the definition says them: one that is written to, or slots for versions."""

from typing import Literal

from osloom.model.providers import Table
from osloom.model.values import MountPoint, Name, Size


class Data(Table, frozen=True, kw_only=True):
    """The partition of an appliance that holds what is written: /var, and what /etc has changed."""

    filesystem: Literal["ext4", "btrfs"] = "ext4"
    """Made at the first boot, over what the disk has left."""
    minimum_size: Size = "256M"
    """What the disk has to have left for it."""
    encryption: Literal["none", "tpm2", "passphrase"] = "none"
    """LUKS2, made at the first boot: unlocked by the device's TPM where a UKI of yours has started,
    with a recovery key that its console shows once; or by a passphrase that the console asks for."""


class Partition(Table, frozen=True, kw_only=True):
    """One more partition of an appliance, made at the first boot."""

    size: Size
    """Of the partition."""
    filesystem: Literal["ext4", "btrfs", "none"] = "ext4"
    """What it is made with; `none` leaves it empty."""
    mount: MountPoint | None = None
    """Where the system finds it; nowhere by default."""
    keep: bool = False
    """It outlives a factory reset."""


class Disk(Table, frozen=True, kw_only=True):
    """A bootable disk: GPT, an ESP with systemd-boot and a UKI, and a root partition."""

    layout: Literal["plain", "appliance"] = "plain"
    """`appliance` has two slots for versions of a root that is verified and never written to, and
    a data partition."""
    format: Literal["raw", "qcow2"] = "raw"
    """Of the file."""
    filesystem: Literal["ext4", "erofs", "btrfs"] = "ext4"
    """Of the root partition; with erofs, what the system writes is forgotten when it ends. An
    appliance's is always erofs."""
    size: Size | None = None
    """Of the root partition; what the content needs and 20 % by default. Of an appliance the size
    of the disk, by default what its slots need, and for qcow2 4G, or the GiB that a first boot needs."""
    esp_size: Size = "256M"
    """Of the EFI system partition."""
    compression: str | None = None
    """Of erofs: `lz4`, `lz4hc,12`, `zstd,9` …; of btrfs: `zstd`, `zstd,9`; none by default, in an
    appliance `lz4`."""
    slot_size: Size = "512M"
    """Of each of an appliance's two root partitions: it never changes on a device, so leave room
    for later versions."""
    swap: Size | None = None
    """Of an appliance's swap partition; none by default."""
    data: Data = Data()
    """The data partition of an appliance."""
    partition: dict[Name, Partition] = {}
    """More partitions of an appliance, by their labels."""

    @property
    def made_filesystems(self) -> frozenset[str]:
        """Those that an appliance makes at its first boot."""
        return frozenset(
            {self.data.filesystem, *(one.filesystem for one in self.partition.values())}
        )

    @property
    def is_appliance(self) -> bool:
        """Whether it has two slots."""
        return self.layout == "appliance"
