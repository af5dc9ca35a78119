"""FAT file systems that osloom writes, as dosfstools and mtools see them."""

import random
from pathlib import Path

import pytest

from osloom.model.fat_volume import Volume, lay_out
from support.programs import Programs

_MIB = 1 << 20
_FILES = {
    "EFI/BOOT/BOOTX64.EFI": random.Random(1).randbytes(120_001),
    "EFI/systemd/systemd-bootx64.efi": random.Random(2).randbytes(4096),
    "EFI/Linux/edge-gateway_7+3.efi": random.Random(3).randbytes(3 * _MIB + 7),
    "EFI/Linux/edge-gateway_7+3-debug.efi": b"x",
    "loader/loader.conf": b"timeout 0\n",
    "loader/keys/auto/db.auth": random.Random(4).randbytes(2049),
    **{f"loader/many/entry number {number}.conf": b"%d\n" % number for number in range(90)},
}


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Programs:
    return Programs(tmp_path_factory.mktemp("programs"), store, "dosfstools", "mtools")


@pytest.mark.parametrize("size", [34, 100, 256, 300, 1024])
def test_checks_find_nothing_and_files_are_as_they_were(
    programs: Programs, tmp_path: Path, size: int
) -> None:
    disk = tmp_path / "disk"
    volume = Volume(size=size * _MIB, label="ESP", serial=0xDA36CD06, epoch=1_700_000_001)
    laid = lay_out(volume, {path: len(content) for path, content in _FILES.items()})
    with disk.open("wb") as file:
        file.truncate(volume.size)
        for offset, data in laid.tables:
            file.seek(offset)
            file.write(data)
        for path, offset in laid.places.items():
            file.seek(offset)
            file.write(_FILES[path])
    said = programs("usr/sbin/fsck.vfat", "-n", "-v", disk)
    assert "32 bits/entry" in said or "32 bit" in said, said
    # It only says so of what it would mend; the status says the same.
    for fault in ("differs", "wrong", "Free cluster summary", "Dirty", "orphan", "Bad"):
        assert fault not in said, said
    listed = programs("usr/bin/mdir", "-/", "-b", "-a", "-i", disk, "::")
    found = {line.removeprefix("::/") for line in listed.splitlines() if not line.endswith("/")}
    assert found == set(_FILES)
    for path, content in _FILES.items():
        copy = tmp_path / "copy"
        programs("usr/bin/mcopy", "-n", "-o", "-i", disk, f"::/{path}", copy)
        assert copy.read_bytes() == content
    said = programs("usr/bin/mdir", "-i", disk, "::/loader")
    assert "Volume in drive : is ESP" in said
    assert "Volume Serial Number is DA36-CD06" in said
    assert "2023-11-14  22:13" in said
