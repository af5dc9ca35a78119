"""A disk is written with bmaptool, to a device that holds something else."""

import os
import re
from pathlib import Path

import pytest

from osloom.base.errors import CommandError
from osloom.model.blocks import Blocks
from osloom.model.bmap import make_bmap
from osloom.model.disk_report import read_disk
from osloom.model.mapped import mapped_ranges
from support.appliance import ID, PACKAGES, Bench, copied, flip
from support.programs import Programs


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Bench:
    """With a `disk.raw` whose slot B is empty, and its `disk.raw.bmap`."""
    programs = Programs(tmp_path_factory.mktemp("programs"), store, *PACKAGES)
    bench = Bench(programs, tmp_path_factory.mktemp("disk"))
    disk = bench.disk("disk.raw", {"7": bench.version(7), "none": None})
    bench.fill_esp(disk, {f"EFI/Linux/{ID}_7.efi": "7.efi"})
    blocks = _blocks(disk)
    (bench.work / "disk.raw.bmap").write_text(make_bmap(blocks, mapped_ranges(blocks)))
    return bench


def _blocks(path: Path) -> Blocks:
    data = path.read_bytes()
    return Blocks(source=lambda place, size: data[place : place + size], size=len(data))


def test_a_device_has_all_of_the_disk_though_little_is_written(bench: Bench) -> None:
    """To a file bmaptool writes only what is mapped, as it does to a device."""
    device = bench.work / "device"
    size = (bench.work / "disk.raw").stat().st_size
    device.write_bytes(b"\xa5" * size)
    text = (bench.work / "disk.raw.bmap").read_text()
    with device.open("r+b") as file, (bench.work / "disk.raw").open("rb") as disk:
        written = 0
        for first, last in re.findall(r"> ([0-9]+)(?:-([0-9]+))? </Range>", text):
            start, end = int(first) * 4096, (int(last or first) + 1) * 4096
            written += os.pwrite(file.fileno(), os.pread(disk.fileno(), end - start, start), start)
    assert written < size // 10
    report = read_disk(_blocks(device), verify=True)
    assert report == read_disk(_blocks(bench.work / "disk.raw"), verify=True)
    assert ([one.check for one in report.slots], report.problems) == (["whole", "not checked"], ())
    assert bench.run("fsck.vfat", "-n", "--", _esp(bench, device))
    bench.run("mcopy", "-i", "device@@1M", f"::/EFI/Linux/{ID}_7.efi", "read.efi")
    assert (bench.work / "read.efi").read_bytes() == (bench.work / "7.efi").read_bytes()


def _esp(bench: Bench, disk: Path) -> str:
    """The ESP as a file of its own."""
    with disk.open("rb") as file, (bench.work / "esp").open("wb") as esp:
        file.seek(1 << 20)
        esp.write(file.read(64 << 20))
    return "esp"


def test_bmaptool_takes_the_map_and_finds_every_block_as_it_says(bench: Bench) -> None:
    # It finds the map beside the disk by its name, as in a release.
    bench.run("zstd", "-q", "disk.raw")
    bench.run("bmaptool", "copy", "disk.raw.zst", "copy.raw")
    copy, disk = _blocks(bench.work / "copy.raw"), _blocks(bench.work / "disk.raw")
    assert read_disk(copy, verify=True) == read_disk(disk, verify=True)


def test_bmaptool_refuses_a_disk_or_a_map_that_was_changed(bench: Bench) -> None:
    disk = copied(bench.work / "disk.raw", bench.work / "flipped.raw")
    root = read_disk(_blocks(disk)).partitions[1]
    flip(disk, root.offset + 5000)
    copy = ("bmaptool", "copy", "--bmap")
    with pytest.raises(CommandError) as caught:
        bench.run(*copy, "disk.raw.bmap", "flipped.raw", "copy.raw")
    assert "checksum mismatch for blocks range" in caught.value.detail
    text = (bench.work / "disk.raw.bmap").read_text()
    (bench.work / "other.bmap").write_text(text.replace("> 0-", "> 1-"))
    with pytest.raises(CommandError) as caught:
        bench.run(*copy, "other.bmap", "disk.raw", "copy.raw")
    assert "checksum mismatch for bmap file" in caught.value.detail
