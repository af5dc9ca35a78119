"""The disk of an appliance as it is first written to a device: slot A filled, slot B empty.

There is no data partition yet: systemd-repart makes it at the first boot, of what the device has.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from osloom.assemble.appliance.signing import plan_signed_loader
from osloom.assemble.appliance.version import Version, plan_version
from osloom.assemble.disk import finished, make_table
from osloom.assemble.esp import esp_contents
from osloom.assemble.place import Contents, write_contents
from osloom.assemble.request import Product, Request
from osloom.base.digest import Digest, derive_uuid
from osloom.base.errors import BuildError
from osloom.engine.step import Input, Job, Output, Step, action
from osloom.model.appliance import Appliance, fits_esp, least_disk_size, made_partitions
from osloom.model.size import GIB, MIB, parse_size, whole_gib
from osloom.model.update import Update
from osloom.model.verity import Verity

_QCOW2_GIB = 4
_MEASURED = ("root", "uki")


class LaidOut(msgspec.Struct, frozen=True, kw_only=True):
    """A disk that has its table, and room for the rest."""

    path: Path
    """Of the raw disk, in the step's working directory."""
    contents: Contents
    """What the partitions hold."""
    root: int
    """Where the root is of it."""


@action(version=4)
def make_appliance(job: Job) -> Mapping[str, Digest]:
    """The disk of `lay_out`, raw or qcow2."""
    laid = lay_out(job)
    write_contents(laid.path, laid.contents)
    return finished(job, laid.path)


def lay_out(job: Job) -> LaidOut:
    """A disk for the blobs `root`, `hashes`, `root_hash`, `uki` and, of a signed one, `signature`."""
    blobs = job.store.blobs
    appliance = msgspec.convert(job.parameters["appliance"], Appliance)
    sizes = {name: blobs.path(job.digest(name)).stat().st_size for name in _MEASURED}
    _check_esp(appliance, sizes["uki"])
    root_hash = blobs.read(job.digest("root_hash")).decode()
    partitions = [dict(one) for one in made_partitions(appliance)]
    ids = Verity(root_hash=root_hash, hashes=b"")
    for one, identity in zip(partitions[1:3], (ids.data_id, ids.hash_id), strict=True):
        one["UUID"] = str(identity)
    for one in partitions[1 : len(partitions) // 2 + 1]:
        one |= {"Label": appliance.name, "Flags": "0"}
    asked = job.parameters["size"]
    size = None if asked is None else parse_size(asked)
    seed = derive_uuid("disk", appliance.id)
    esp, *slot = make_table(job, partitions, seed=seed, size=size)
    job.facts["notes"] = (
        f"root {_mib(sizes['root'])} of {_mib(appliance.slot_size)} MiB, "
        f"two UKIs {_mib(2 * sizes['uki'])} of {_mib(esp.size)} MiB"
    )
    names = ("root", "hashes", "signature") if appliance.signed else ("root", "hashes")
    filled = {
        place.offset: blobs.path(job.digest(name)) for place, name in zip(slot, names, strict=False)
    }
    contents = {**esp_contents(job, esp), **filled}
    return LaidOut(path=esp.path, contents=contents, root=slot[0].offset)


def _mib(size: int) -> int:
    """Whole MiB, rounded up."""
    return -(-size // MIB)


def _check_esp(appliance: Appliance, uki: int) -> None:
    room = parse_size(appliance.disk.esp_size)
    if not fits_esp(uki, room):
        raise BuildError(
            f"cannot fit two UKIs of {_mib(uki)} MiB into an ESP of {room // MIB} MiB",
            hint="raise `esp-size` in the table `disk`",
        )


def disk_size(appliance: Appliance, kind: str) -> str | None:
    """The size of the disk, as definitions write it; None for just what ESP and slots take.

    A qcow2 file is a device's disk as it is. Raises BuildError for one whose first boot would fail:
    it makes swap, the definition's own partitions and data.
    """
    needed = least_disk_size(appliance)
    if appliance.disk.size is None:
        return f"{max(_QCOW2_GIB, whole_gib(needed) // GIB)}G" if kind == "qcow2" else None
    size = parse_size(appliance.disk.size)
    if size < needed:
        raise BuildError(
            f"cannot make a disk of {size // MIB} MiB: with swap, partitions and data, which its "
            f"first boot makes, it needs {_mib(needed)} MiB",
            hint="raise `size` in the table `disk`, or leave it out",
        )
    return appliance.disk.size


def plan_disk(request: Request) -> tuple[Product, ...]:
    version = plan_version(request)
    disk = plan_disk_of(request, version, request.image.disk.format)
    return (Product(path=f"{request.name}.{request.image.disk.format}", output=disk),)


def plan_disk_of(request: Request, version: Version, kind: str) -> Output:
    """The disk with one version in it, as `kind`: `raw` or `qcow2`."""
    assert request.appliance is not None
    step = Step(
        action=make_appliance,
        title=f"write {request.name}.{kind}",
        group=request.name,
        parameters={
            **laid_out_as(request),
            "format": kind,
            "size": disk_size(request.appliance, kind),
        },
        inputs=laid_out_of(request, version),
    )
    return step.output("file")


def laid_out_as(request: Request) -> dict[str, Any]:
    """The parameters of a step that lays the disk out."""
    appliance = request.appliance
    assert appliance is not None
    # What only the root depends on makes no other disk.
    lean = msgspec.structs.replace(appliance, keep=(), health=(), update=Update(), extensions=())
    return {
        "appliance": msgspec.to_builtins(lean),
        "architecture": request.architecture,
        "epoch": request.epoch,
        "name": appliance.name,
        "size": disk_size(appliance, "raw"),
    }


def laid_out_of(request: Request, version: Version) -> dict[str, Input]:
    """The inputs of a step that lays the disk out."""
    return {
        "root": version.root,
        "hashes": version.hashes,
        "root_hash": version.root_hash,
        "uki": version.uki,
        **({"signature": version.signature} if version.signature else {}),
        "tools": request.tools,
        **_signed(request),
    }


def _signed(request: Request) -> dict[str, Input]:
    """What an ESP has for secure boot: the loader signed, and keys to enrol."""
    secure_boot = request.secure_boot
    if secure_boot is None:
        return {}
    loader = plan_signed_loader(
        secure_boot, request.tools, architecture=request.architecture, group=request.name
    )
    keys = {"enrolment": secure_boot.enrolment} if secure_boot.enrolment else {}
    return {"loader": loader, **keys}
