"""The partitions of an appliance, when it is made and when it boots first."""

import msgspec

from osloom.model.appliance import (
    Appliance,
    crypttab,
    device_partitions,
    fstab,
    least_disk_size,
    made_partitions,
    made_size,
    mounts,
    repart_files,
)
from osloom.model.disk import Data, Disk, Partition
from osloom.model.gpt_table import NO_AUTO, READ_ONLY
from osloom.model.size import MIB

OWN = Appliance(
    id="edge-gateway",
    version="7",
    architecture="amd64",
    epoch=0,
    disk=Disk(
        layout="appliance",
        slot_size="300M",
        swap="1G",
        data=Data(filesystem="btrfs", minimum_size="2G"),
        partition={
            "logs": Partition(size="1G", mount="/logs", keep=True),
            "raw": Partition(size="10M", filesystem="none"),
        },
    ),
)


def test_the_disk_is_made_with_an_esp_and_two_empty_slots() -> None:
    made = made_partitions(OWN)
    assert [(one.type, one.label, one.size) for one in made] == [
        ("esp", "esp", 256 * MIB),
        ("root-x86-64", "_empty", 300 * MIB),
        ("root-x86-64-verity", "_empty", 3 * MIB),
        ("root-x86-64", "_empty", 300 * MIB),
        ("root-x86-64-verity", "_empty", 3 * MIB),
    ]
    assert len({one.id for one in made}) == 5
    # Else who looks for the newest of all labels may find `_empty`, systemd-dissect(1).
    assert [one.attributes for one in made] == [0, *[READ_ONLY | NO_AUTO] * 4]


def test_the_device_adds_what_is_written_to() -> None:
    made = device_partitions(OWN)
    # What is there keeps its label and its id: a newer version has others.
    assert not [one for one in made[:5] if "Label" in one or "UUID" in one]
    assert [(one["Label"], one.get("Format"), one.get("FactoryReset")) for one in made[5:]] == [
        ("swap", "swap", "yes"),
        ("logs", "ext4", None),
        ("raw", None, "yes"),
        ("data", "btrfs", "yes"),
    ]
    assert made[-1]["UUID"] == OWN.data_id


def test_files_are_read_in_the_order_of_the_partitions() -> None:
    names = list(repart_files(device_partitions(OWN)))
    assert names == sorted(names)
    assert len(names) == 9


def test_data_and_what_has_a_place_are_mounted() -> None:
    assert [line.split()[1:3] for line in fstab(OWN).splitlines()] == [
        ["/var", "btrfs"],
        ["none", "swap"],
        ["/logs", "ext4"],
    ]
    assert crypttab(OWN) is None


def test_a_disk_has_room_for_all_that_a_device_makes() -> None:
    assert made_size(OWN) == (256 + 2 * 303 + 2) * MIB
    assert least_disk_size(OWN) == made_size(OWN) + (1024 + 1024 + 10 + 2048) * MIB


def test_what_is_swapped_out_is_encrypted_where_data_are() -> None:
    data = msgspec.structs.replace(OWN.disk.data, encryption="tpm2")
    sealed = msgspec.structs.replace(OWN, disk=msgspec.structs.replace(OWN.disk, data=data))
    assert fstab(sealed).splitlines()[1] == "/dev/mapper/swap none swap nofail 0 0"
    made = crypttab(sealed)
    assert made is not None
    assert made.split()[:3] == ["swap", f"PARTUUID={OWN.partition_id('/swap')}", "/dev/urandom"]


def test_nothing_is_mounted_at_a_link() -> None:
    places = {"/srv/x": "/var/srv/x", "/home/": "/var/home", "/logs": "/logs", "/var/x": "/var/x"}
    partition = {
        f"p{number}": Partition(size="1M", mount=place) for number, place in enumerate(places)
    }
    assert list(mounts(Disk(partition=partition)).values()) == list(places.values())
