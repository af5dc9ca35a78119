"""What osloom sees on a disk that systemd-repart, veritysetup, ukify and mtools made."""

import json
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from osloom.base.errors import Error
from osloom.model.blocks import Blocks
from osloom.model.disk_report import read_disk
from osloom.model.gpt import TYPES, parse_gpt
from osloom.model.qcow2 import open_qcow2
from support.appliance import ID, PACKAGES, Bench, Made, copied, flip
from support.cli import osloom
from support.programs import Programs


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Made:
    programs = Programs(tmp_path_factory.mktemp("programs"), store, *PACKAGES)
    return Made(Bench(programs, tmp_path_factory.mktemp("disk")))


def inspect(disk: Path, *options: str) -> Any:
    done = osloom(disk.parent, "inspect", f"./{disk.name}", "--json", *options)
    report = done.json
    assert done.status == (1 if report["problems"] else 0), done.stderr
    return report


def test_partitions_are_those_that_sfdisk_sees(made: Made) -> None:
    report = inspect(made.disk)
    table = json.loads(made.bench.run("sfdisk", "--json", made.disk.name))["partitiontable"]
    assert report["id"] == table["id"].lower()
    assert [
        [one["label"], one["id"], one["offset"], one["size"]] for one in report["partitions"]
    ] == [
        [one["name"], one["uuid"].lower(), one["start"] * 512, one["size"] * 512]
        for one in table["partitions"]
    ]
    assert [[one["type"], one["holds"]] for one in report["partitions"]] == [
        ["esp", "vfat"],
        ["root-x86-64", "erofs"],
        ["root-x86-64-verity", "verity"],
        ["root-x86-64", "erofs"],
        ["root-x86-64-verity", "verity"],
    ]


def test_types_are_named_as_systemd_names_them(made: Made) -> None:
    said = made.bench.run("systemd-id128", "show", "--value", "--uuid", *TYPES.values())
    assert said.split() == [str(one) for one in TYPES]


def test_slots_are_told_with_what_starts_them(made: Made) -> None:
    report = inspect(made.disk, "--verify")
    assert [[one["id"], one["version"], one["root_hash"]] for one in report["slots"]] == [
        [ID, "7", made.seven],
        [ID, "10", made.ten],
    ]
    seven, ten = f"EFI/Linux/{ID}_7.efi", f"EFI/Linux/{ID}_10+2-1.efi"
    assert [[one["uki"], one["is_default"], one["check"]] for one in report["slots"]] == [
        [seven, False, "whole"],
        [ten, True, "whole"],
    ]
    nine = f"EFI/Linux/{ID}_9+0-3.efi"
    esp = report["esp"]
    assert esp["default"] == ten
    assert [
        [one["path"], one["version"], one["title"], one["tries_left"], one["tries_done"]]
        for one in esp["ukis"]
    ] == [
        [ten, "10", "Edge 10", 2, 1],
        [seven, "7", "Edge 7", None, None],
        [nine, "9", "Edge 9", 0, 3],
    ]
    assert esp["menu"] == ["timeout 0", f"default {ID}_*"]
    assert esp["keys"] == ["loader/keys/own"]
    said = made.bench.run("mdir", "-i", f"{made.disk.name}@@1M", "::/")
    (free,) = (line for line in said.splitlines() if line.endswith("bytes free"))
    assert esp["free"] == int("".join(one for one in free if one.isdigit()))
    (problem,) = report["problems"]
    assert problem.startswith(f"`{nine}`: no slot has its root hash ")


def test_a_qcow2_disk_is_read_as_it_is(made: Made) -> None:
    plain = inspect(made.disk)
    for name, options in (("plain", []), ("small", ["-c"]), ("zeros", ["-o", "cluster_size=4k"])):
        made.bench.run(
            "qemu-img", "convert", "-O", "qcow2", *options, made.disk.name, f"{name}.qcow2"
        )
        assert inspect(made.bench.work / f"{name}.qcow2", "--verify")["problems"]
        assert inspect(made.bench.work / f"{name}.qcow2") == plain
    made.bench.run("qemu-img", "create", "-f", "qcow2", "-F", "raw", "-b", "disk.raw", "over.qcow2")
    assert inspect(made.bench.work / "over.qcow2") == plain


def test_an_enlarged_disk_is_read_and_said(made: Made, tmp_path: Path) -> None:
    disk = copied(made.disk, tmp_path / "large.raw")
    with disk.open("r+b") as file:
        file.truncate(disk.stat().st_size + (64 << 20))
    problems = inspect(disk)["problems"]
    assert "the second copy of the partition table is not at the disk's end" in problems


def test_the_second_copy_of_the_table_stands_in_for_the_first(made: Made, tmp_path: Path) -> None:
    disk = copied(made.disk, tmp_path / "broken.raw")
    flip(disk, 1024 + 56)
    report = inspect(disk)
    assert report["partitions"] == inspect(made.disk)["partitions"]
    assert report["problems"][0] == (
        "the first copy of the partition table: the checksum of its entries is wrong"
    )
    flip(disk, disk.stat().st_size - 512 + 24)
    done = osloom(tmp_path, "inspect", "./broken.raw")
    assert (done.status, done.stderr.splitlines()[0]) == (
        1,
        "error: cannot find the disk's partitions: it has no whole GPT",
    )


@pytest.mark.parametrize(
    ("place", "where", "damage"),
    [
        (1, lambda part: part["offset"] + 3 * 4096 + 17, "block 3, at byte 12288 of it, is not"),
        (2, lambda part: part["offset"] + 2 * 4096, "block 2 of its hashes is not"),
        (2, lambda part: part["offset"], "it has no dm-verity superblock"),
    ],
    ids=["data", "hashes", "superblock"],
)
def test_a_flipped_bit_is_found_and_named(
    made: Made, tmp_path: Path, place: int, where: Callable[[Any], int], damage: str
) -> None:
    disk = copied(made.disk, tmp_path / "flipped.raw")
    flip(disk, where(inspect(disk)["partitions"][place]))
    report = inspect(disk, "--verify")
    assert [one["check"] for one in report["slots"]] == ["damaged", "whole"]
    assert report["problems"][0].startswith(f"slot A, version 7: {damage}")


def test_an_empty_slot_and_a_foreign_uki_are_said(made: Made) -> None:
    disk = made.bench.disk("half.raw", {"7": made.seven, "none": None})
    made.bench.fill_esp(
        disk, {f"EFI/Linux/{ID}_7.efi": "10.efi", "EFI/Linux/no.efi": "loader.conf"}
    )
    report = inspect(disk)
    assert [one["version"] for one in report["slots"]] == ["7", None]
    assert report["problems"] == [
        "slot A, version 7: no UKI has its root hash",
        f"`EFI/Linux/{ID}_7.efi`: no slot has its root hash {made.ten}",
        "`EFI/Linux/no.efi`: cannot read the EFI program: it does not begin with `MZ`",
    ]


def test_a_uki_that_was_changed_after_it_was_signed_is_said(made: Made, tmp_path: Path) -> None:
    made.bench.sign("7.efi", "signed.efi")
    disk = made.bench.disk("signed.raw", {"7": made.seven, "none": None})
    made.bench.fill_esp(disk, {"EFI/Linux/signed.efi": "signed.efi"})
    assert [one["signature"] for one in inspect(disk)["esp"]["ukis"]] == ["not checked"]
    report = inspect(disk, "--verify")
    assert ([one["signature"] for one in report["esp"]["ukis"]], report["problems"]) == (
        ["whole"],
        [],
    )
    altered = copied(disk, tmp_path / "altered.raw")
    flip(altered, altered.read_bytes().index(b"quiet roothash=") + 2)
    report = inspect(altered, "--verify")
    assert ([one["signature"] for one in report["esp"]["ukis"]], report["problems"]) == (
        ["damaged"],
        ["`EFI/Linux/signed.efi`: it was changed after it was signed"],
    )


def test_people_read_a_table(made: Made) -> None:
    done = osloom(made.disk.parent, "inspect", "./disk.raw")
    assert (done.status, "\nproblem: " in done.stdout) == (1, True)
    lines = done.stdout.splitlines()
    (slot,) = (line for line in lines if line.startswith("B "))
    assert slot.split() == [
        *("B", "10", f"{made.ten[:16]}…", "-", f"EFI/Linux/{ID}_10+2-1.efi", "(default)"),
        *("not", "checked"),
    ]


def test_whatever_a_disk_holds_it_is_read_or_refused(made: Made) -> None:
    """Metadata with bytes changed at random: nothing but an error that people can read."""
    whole = made.disk.read_bytes()
    table = parse_gpt(_blocks(whole))
    esp = table.partitions[0]
    program = whole.index(b"MZ", esp.offset)
    chance = random.Random(1)
    refused = 0
    for start, size in (
        (esp.offset, 512),
        (esp.offset + 32 * 512, 2048),
        (program - 8192, 8192),
        (program, 1024),
        (table.partitions[2].offset, 512),
    ):
        for _ in range(60):
            bad = _blocks(whole, _changes(chance, start, start + size))
            refused += len(read_disk(bad).problems) > 1
    assert refused


def test_whatever_a_qcow2_file_holds_it_is_read_or_refused(made: Made) -> None:
    made.bench.run("qemu-img", "convert", "-O", "qcow2", "-c", made.disk.name, "hostile.qcow2")
    whole = (made.bench.work / "hostile.qcow2").read_bytes()
    chance = random.Random(2)
    refused = 0
    for end in (112, 6 << 16) * 50:
        bad = _blocks(whole, _changes(chance, 4, end))
        try:
            read_disk(open_qcow2(bad, base=lambda _: _blocks(whole)))
        except Error:
            refused += 1
    assert refused


def _changes(chance: random.Random, start: int, end: int) -> dict[int, int]:
    count = chance.choice([1, 4, 40])
    return {chance.randrange(start, end): chance.choice([0, 1, 0x7F, 0xFF]) for _ in range(count)}


def _blocks(data: bytes, changes: Mapping[int, int] = MappingProxyType({})) -> Blocks:
    """What `data` is with some bytes changed."""

    def read(offset: int, size: int) -> bytes:
        piece = bytearray(data[offset : offset + size])
        for place, value in changes.items():
            if offset <= place < offset + len(piece):
                piece[place - offset] = value
        return bytes(piece)

    return Blocks(source=read, size=len(data))
