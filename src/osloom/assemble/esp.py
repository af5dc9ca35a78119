"""The EFI system partition: systemd-boot, and the UKI at EFI/Linux.

https://uapi-group.org/specifications/specs/boot_loader_specification/
"""

import os
import shutil
from pathlib import Path

from osloom.assemble.place import Place
from osloom.base.digest import derive_uuid
from osloom.base.errors import BuildError
from osloom.engine.step import Job

_LOADERS = {
    "amd64": ("systemd-bootx64.efi", "BOOTX64.EFI"),
    "arm64": ("systemd-bootaa64.efi", "BOOTAA64.EFI"),
}
_SMALL = 260 << 20
"""Bytes up to which a FAT32 cluster is one sector."""
_LOADER_CONF = "timeout 0\nconsole-mode keep\n"


def write_esp(job: Job, place: Place) -> None:
    """A FAT file system with the loader and the UKI `uki`; same bytes at any time of day."""
    parameters = job.parameters
    uki = job.store.blobs.path(job.digest("uki"))
    if uki.stat().st_size > place.size * 9 // 10:
        raise BuildError(
            f"cannot fit the UKI ({uki.stat().st_size >> 20} MiB) into "
            f"an ESP of {place.size >> 20} MiB",
            hint="raise `esp-size` in the table `disk`",
        )
    tools = job.tools()
    source, fallback = _LOADERS[parameters["architecture"]]
    content = job.work / "esp"
    content.mkdir()
    # mcopy takes times from the files it copies.
    _lay(tools.root / "usr/lib/systemd/boot/efi" / source, content / "loader", parameters["epoch"])
    _lay(uki, content / "uki", parameters["epoch"])
    (content / "loader.conf").write_text(_LOADER_CONF)
    os.utime(content / "loader.conf", (parameters["epoch"],) * 2)
    identity = derive_uuid("filesystem", "esp", job.digest("uki")).hex[:8]
    # Said, because mkfs.vfat would choose by the size of the whole disk.
    sectors = 1 if place.size <= _SMALL else 8
    image = f"/mnt/work/{place.path.name}"
    script = f"""
        set -e
        mkfs.vfat --invariant -F 32 -s {sectors} -i {identity} -n ESP \\
            --offset {place.offset // 512} {image} {place.size >> 10} >/dev/null
        export MTOOLS_SKIP_CHECK=1
        mmd -i {image}@@{place.offset} ::/EFI ::/EFI/BOOT ::/EFI/systemd ::/EFI/Linux ::/loader
        copy() {{ mcopy -m -i {image}@@{place.offset} "esp/$1" "::$2"; }}
        copy loader /EFI/BOOT/{fallback}
        copy loader /EFI/systemd/{source}
        copy loader.conf /loader/loader.conf
        copy uki /EFI/Linux/{parameters["name"]}.efi
    """
    tools.run(
        ["sh", "-c", script],
        work=job.work,
        environment={"SOURCE_DATE_EPOCH": str(parameters["epoch"])},
    )


def _lay(source: Path, target: Path, epoch: int) -> None:
    shutil.copyfile(source, target)
    os.utime(target, (epoch, epoch))
