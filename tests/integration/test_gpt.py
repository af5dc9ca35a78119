"""Partition tables that osloom writes, beside those of systemd-repart."""

import os
import random
from pathlib import Path

import pytest

from osloom.base.digest import derive_uuid
from osloom.model.blocks import Blocks
from osloom.model.gpt import TYPES, Table, parse_gpt
from osloom.model.gpt_table import GROWS, NO_AUTO, READ_ONLY, Wanted, lay_out, write_gpt
from support.programs import Programs

_MIB = 1 << 20
_GROWING = ("root", "usr", "home", "srv", "var", "xbootldr")
"""Types of which systemd-repart says that the file system grows, whatever it is told."""


@pytest.fixture(scope="module")
def repart(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Programs:
    return Programs(tmp_path_factory.mktemp("repart"), store, "systemd-repart")


def _cases() -> list[tuple[list[Wanted], int | None]]:
    some = random.Random(5)

    def wanted(number: int) -> Wanted:
        kind = some.choice(sorted(TYPES.values()))
        attributes = some.choice((0, READ_ONLY, NO_AUTO, GROWS, READ_ONLY | NO_AUTO))
        if (
            kind.partition("-")[0] in _GROWING
            and "verity" not in kind
            and not attributes & READ_ONLY
        ):
            attributes |= GROWS
        # libfdisk begins a disk below 4 MiB elsewhere.
        pages = 4 if kind.endswith("-sig") and number else some.randrange(1300, 5000)
        return Wanted(
            type="esp" if kind.endswith("-sig") and not number else kind,
            label=some.choice(("esp", "_empty", "gateway_7+3", "x" * 36, f"data{number}")),
            id=derive_uuid("test", str(some.random())),
            size=pages * 4096,
            attributes=attributes,
        )

    return [
        ([wanted(each) for each in range(count)], size)
        for count in (1, 2, 5, 9, 20, 60)
        for size in (None, 1300 * _MIB, 3 << 30, 3 << 40)
    ]


@pytest.mark.parametrize(("partitions", "size"), _cases())
def test_tables_are_those_of_systemd_repart(
    repart: Programs, tmp_path: Path, partitions: list[Wanted], size: int | None
) -> None:
    definitions = tmp_path / "repart.d"
    definitions.mkdir()
    for number, one in enumerate(partitions, 10):
        (definitions / f"{number}.conf").write_text(
            f"[Partition]\nType={one.type}\nLabel={one.label}\nUUID={one.id}\n"
            f"SizeMinBytes={one.size}\nSizeMaxBytes={one.size}\nFlags={one.attributes:#x}\n"
            f"GrowFileSystem={bool(one.attributes & GROWS)}\n"
            f"ReadOnly={bool(one.attributes & READ_ONLY)}\n"
            f"NoAuto={bool(one.attributes & NO_AUTO)}\n"
        )
    disk = tmp_path / "disk"
    repart(
        "usr/bin/systemd-repart",
        "--empty=create",
        f"--size={size or 'auto'}",
        "--offline=yes",
        "--dry-run=no",
        f"--seed={derive_uuid('seed')}",
        f"--definitions={definitions}",
        disk,
    )
    theirs = _parsed(disk)
    table, whole = lay_out(partitions, identity=theirs.id, size=size)
    assert (table, whole) == (theirs, disk.stat().st_size)
    assert whole == disk.stat().st_size
    with disk.open("rb") as file:
        for offset, data in write_gpt(table, whole).items():
            file.seek(offset)
            assert file.read(len(data)) == data


def _parsed(disk: Path) -> Table:
    size = disk.stat().st_size
    with disk.open("rb") as file:
        number = file.fileno()
        return parse_gpt(
            Blocks(source=lambda place, count: os.pread(number, count, place), size=size)
        )
