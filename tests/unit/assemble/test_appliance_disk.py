"""A disk that says how large it is has room for what its first boot makes."""

import msgspec
import pytest

from osloom.assemble.appliance.disk import disk_size
from osloom.base.errors import BuildError
from osloom.model.appliance import Appliance
from osloom.model.disk import Data, Disk, Partition


def appliance(**disk: object) -> Appliance:
    settings = msgspec.structs.replace(Disk(layout="appliance", slot_size="128M"), **disk)
    return Appliance(id="edge-gateway", version="7", architecture="amd64", epoch=0, disk=settings)


@pytest.mark.parametrize(
    ("disk", "size"),
    [
        ({}, "4G"),
        ({"size": "1G"}, "1G"),
        ({"swap": "8G"}, "9G"),
        ({"swap": "3327M"}, "5G"),
        ({"swap": "3M", "data": Data(minimum_size="6G")}, "7G"),
        ({"partition": {"logs": Partition(size="6G")}}, "7G"),
    ],
)
def test_a_qcow2_has_room_for_what_its_first_boot_makes(disk: dict[str, object], size: str) -> None:
    assert disk_size(appliance(**disk), "qcow2") == size


def test_a_raw_disk_is_written_to_a_larger_one() -> None:
    assert disk_size(appliance(swap="8G"), "raw") is None
    assert disk_size(appliance(swap="8G", size="16G"), "raw") == "16G"


@pytest.mark.parametrize("kind", ["raw", "qcow2"])
def test_a_size_that_is_too_small_is_told_with_the_numbers(kind: str) -> None:
    with pytest.raises(BuildError) as caught:
        disk_size(appliance(size="600M", swap="1G"), kind)
    assert (caught.value.message, caught.value.hint) == (
        (
            "cannot make a disk of 600 MiB: with swap, partitions and data, which its first boot"
            " makes, it needs 1798 MiB"
        ),
        "raise `size` in the table `disk`, or leave it out",
    )
