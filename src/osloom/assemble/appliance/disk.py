"""The disk of an appliance as it is first written to a device: slot A filled, slot B empty.

There is no data partition yet: systemd-repart makes it at the first boot, of what the device has.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from osloom.assemble.appliance.signing import plan_signed_loader
from osloom.assemble.appliance.version import Version, plan_version
from osloom.assemble.disk import finished
from osloom.assemble.esp import esp_contents
from osloom.assemble.place import Contents, make_disk_file
from osloom.assemble.request import Product, Request
from osloom.base.digest import Digest, derive_uuid
from osloom.base.errors import BuildError
from osloom.engine.step import Input, Job, Output, Step, action
from osloom.model import gpt_table
from osloom.model.appliance import Appliance, fits_esp, least_disk_size, made_partitions
from osloom.model.gpt_table import READ_ONLY, Wanted
from osloom.model.size import GIB, MIB, parse_size, whole_gib
from osloom.model.update import Update
from osloom.model.verity import Verity

_QCOW2_GIB = 4
_MEASURED = ("root", "uki")


class LaidOut(msgspec.Struct, frozen=True, kw_only=True):
    """A disk that is not written yet."""

    size: int
    """Bytes."""
    contents: Contents
    """The partition table, and what the partitions hold."""
    root: int
    """Where the root is of it."""


@action(version=5)
def make_appliance(job: Job) -> Mapping[str, Digest]:
    """The disk of `lay_out`, raw or qcow2."""
    laid = lay_out(job)
    path = job.work / "disk"
    make_disk_file(path, laid.size, laid.contents)
    return finished(job, path)


def lay_out(job: Job) -> LaidOut:
    """A disk for the blobs `root`, `hashes`, `root_hash`, `uki` and, of a signed one, `signature`."""
    blobs = job.store.blobs
    appliance = msgspec.convert(job.parameters["appliance"], Appliance)
    sizes = {name: blobs.path(job.digest(name)).stat().st_size for name in _MEASURED}
    _check_esp(appliance, sizes["uki"])
    root_hash = blobs.read(job.digest("root_hash")).decode()
    partitions = _with_version(made_partitions(appliance), appliance, root_hash)
    asked = job.parameters["size"]
    table, size = gpt_table.lay_out(
        partitions,
        identity=derive_uuid("disk", appliance.id),
        size=None if asked is None else parse_size(asked),
    )
    esp, *slots = table.partitions
    job.facts["notes"] = (
        f"root {_mib(sizes['root'])} of {_mib(appliance.slot_size)} MiB, "
        f"two UKIs {_mib(2 * sizes['uki'])} of {_mib(esp.size)} MiB"
    )
    names = ("root", "hashes", "signature") if appliance.signed else ("root", "hashes")
    contents = {
        **gpt_table.write_gpt(table, size),
        **esp_contents(job, esp.offset, esp.size),
        **{
            one.offset: blobs.path(job.digest(name))
            for name, one in zip(names, slots, strict=False)
        },
    }
    return LaidOut(size=size, contents=contents, root=slots[0].offset)


def _with_version(made: Sequence[Wanted], appliance: Appliance, root_hash: str) -> Sequence[Wanted]:
    """The version in the first slot: the partitions' ids are the root hash's halves."""
    ids = Verity(root_hash=root_hash, hashes=b"")
    esp, *slots = made
    half = len(slots) // 2
    filled = [replace(one, label=appliance.name, attributes=READ_ONLY) for one in slots[:half]]
    filled[0] = replace(filled[0], id=ids.data_id)
    filled[1] = replace(filled[1], id=ids.hash_id)
    return [esp, *filled, *slots[half:]]


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
