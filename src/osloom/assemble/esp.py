"""The EFI system partition: systemd-boot, and the UKI at EFI/Linux.

https://uapi-group.org/specifications/specs/boot_loader_specification/
"""

import os
import shlex
import shutil
from pathlib import Path

from osloom.assemble.place import Place
from osloom.base.digest import derive_uuid
from osloom.base.errors import BuildError
from osloom.engine.step import Job
from osloom.model.tree import Tree

LOADERS = {
    "amd64": ("systemd-bootx64.efi", "BOOTX64.EFI"),
    "arm64": ("systemd-bootaa64.efi", "BOOTAA64.EFI"),
}
"""The loader's own name, and that of what firmware starts of itself."""
_ENROLMENT = "/loader/keys/auto"
"""Where systemd-boot finds keys for a firmware that has none, systemd-boot(7)."""
_SMALL = 260 << 20
"""Bytes up to which a FAT32 cluster is one sector."""
_LOADER_CONF = "timeout 0\nconsole-mode keep\n"
_MENU = "default {name}.efi\ntimeout 5\nconsole-mode keep\n"


def write_esp(job: Job, place: Place) -> None:
    """A FAT file system with the loader and the UKI `uki`; same bytes at any time of day.

    With `others`, a tree of more UKIs by their names, there is a menu; `uki` starts by itself.
    `loader` is one that is signed, `enrolment` a tree of keys for the firmware.
    """
    parameters = job.parameters
    ukis = {f"{parameters['name']}.efi": job.digest("uki")}
    others = job.tree("others") if "others" in job.inputs else Tree()
    for name, node in others.items():
        assert node.digest is not None
        ukis[f"{parameters['name']}-{name}"] = node.digest
    files = {name: job.store.blobs.path(digest) for name, digest in ukis.items()}
    size = sum(file.stat().st_size for file in files.values())
    if size > place.size * 9 // 10:
        raise BuildError(
            f"cannot fit {_counted(len(files))} ({size >> 20} MiB) into "
            f"an ESP of {place.size >> 20} MiB",
            hint="raise `esp-size` in the table `disk`",
        )
    tools = job.tools()
    source, fallback = LOADERS[parameters["architecture"]]
    content = job.work / "esp"
    content.mkdir()
    # mcopy takes times from the files it copies.
    unsigned = tools.root / "usr/lib/systemd/boot/efi" / source
    loader = job.store.blobs.path(job.digest("loader")) if "loader" in job.inputs else unsigned
    _lay(loader, content / "loader", parameters["epoch"])
    keys = job.tree("enrolment") if "enrolment" in job.inputs else Tree()
    for name, node in keys.items():
        assert node.digest is not None
        _lay(job.store.blobs.path(node.digest), content / name, parameters["epoch"])
    for name, file in files.items():
        _lay(file, content / name, parameters["epoch"])
    menu = _MENU.format(name=parameters["name"]) if others else _LOADER_CONF
    (content / "loader.conf").write_text(menu)
    os.utime(content / "loader.conf", (parameters["epoch"],) * 2)
    identity = derive_uuid("filesystem", "esp", job.digest("uki")).hex[:8]
    # Said, because mkfs.vfat would choose by the size of the whole disk.
    sectors = 1 if place.size <= _SMALL else 8
    image = f"/mnt/work/{place.path.name}"
    lines = [shlex.join(["copy", one, f"/EFI/Linux/{one}"]) for one in files]
    directories = ["/EFI", "/EFI/BOOT", "/EFI/systemd", "/EFI/Linux", "/loader"]
    if keys:
        directories += ["/loader/keys", _ENROLMENT]
        lines += [shlex.join(["copy", one, f"{_ENROLMENT}/{one}"]) for one in keys]
    copies = "\n        ".join(lines)
    made = " ".join(f"::{one}" for one in directories)
    script = f"""
        set -e
        mkfs.vfat --invariant -F 32 -s {sectors} -i {identity} -n ESP \\
            --offset {place.offset // 512} {image} {place.size >> 10} >/dev/null
        export MTOOLS_SKIP_CHECK=1
        mmd -i {image}@@{place.offset} {made}
        copy() {{ mcopy -m -i {image}@@{place.offset} "esp/$1" "::$2"; }}
        copy loader /EFI/BOOT/{fallback}
        copy loader /EFI/systemd/{source}
        copy loader.conf /loader/loader.conf
        {copies}
    """
    tools.run(
        ["sh", "-c", script],
        work=job.work,
        environment={"SOURCE_DATE_EPOCH": str(parameters["epoch"])},
    )


def _counted(ukis: int) -> str:
    return "the UKI" if ukis == 1 else f"{ukis} UKIs"


def _lay(source: Path, target: Path, epoch: int) -> None:
    shutil.copyfile(source, target)
    os.utime(target, (epoch, epoch))
