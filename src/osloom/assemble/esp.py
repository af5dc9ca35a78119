"""The EFI system partition: systemd-boot, and the UKI at EFI/Linux.

https://uapi-group.org/specifications/specs/boot_loader_specification/
"""

from pathlib import Path

from osloom.assemble.boot_programs import LOADERS, find_loader
from osloom.assemble.place import Contents
from osloom.base.digest import derive_uuid
from osloom.base.errors import BuildError, Error
from osloom.engine.step import Job
from osloom.model.fat_volume import Volume, lay_out
from osloom.model.tree import Node, Tree

_ENROLMENT = "loader/keys/auto"
"""Where systemd-boot finds keys for a firmware that has none, systemd-boot(7)."""
_HINT = "raise `esp-size` in the table `disk`"
_LOADER_CONF = "timeout 0\nconsole-mode keep\n"
_MENU = "default {name}.efi\ntimeout 5\nconsole-mode keep\n"


def esp_contents(job: Job, start: int, size: int) -> Contents:
    """A FAT file system with the loader and the UKI `uki`, which has `size` bytes of the disk from
    `start` on; same bytes at any time of day.

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
    needed = sum(file.stat().st_size for file in files.values())
    if needed > size * 9 // 10:
        raise BuildError(
            f"cannot fit {_counted(len(files))} ({needed >> 20} MiB) into "
            f"an ESP of {size >> 20} MiB",
            hint=_HINT,
        )
    menu = _MENU.format(name=parameters["name"]) if others else _LOADER_CONF
    source, fallback = LOADERS[parameters["architecture"]]
    signed = job.digest("loader") if "loader" in job.inputs else None
    found = signed or find_loader(job.tree("tools"), parameters["architecture"])
    loader = job.store.blobs.path(found)
    keys = job.tree("enrolment") if "enrolment" in job.inputs else Tree()
    contents: dict[str, Path | bytes] = {
        f"EFI/BOOT/{fallback}": loader,
        f"EFI/systemd/{source}": loader,
        "loader/loader.conf": menu.encode(),
        **{f"EFI/Linux/{name}": file for name, file in files.items()},
        **{f"{_ENROLMENT}/{name}": _content(job, node) for name, node in keys.items()},
    }
    volume = Volume(
        size=size,
        label="ESP",
        serial=int(derive_uuid("filesystem", "esp", job.digest("uki")).hex[:8], 16),
        epoch=parameters["epoch"],
    )
    try:
        laid = lay_out(volume, {path: _size(content) for path, content in contents.items()})
    except Error as error:
        raise BuildError(error.message, hint=_HINT) from error
    tables = {start + offset: data for offset, data in laid.tables}
    return tables | {start + offset: contents[path] for path, offset in laid.places.items()}


def _content(job: Job, node: Node) -> Path:
    assert node.digest is not None
    return job.store.blobs.path(node.digest)


def _size(content: Path | bytes) -> int:
    return len(content) if isinstance(content, bytes) else content.stat().st_size


def _counted(ukis: int) -> str:
    return "the UKI" if ukis == 1 else f"{ukis} UKIs"
