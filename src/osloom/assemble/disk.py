"""Output `disk`: a GPT disk that boots by UEFI.

    ESP    systemd-boot, and the UKI at EFI/Linux
    root   the image's tree

Both file systems are made in their places: nothing is written twice, and what is empty stays a hole.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

from osloom.assemble.esp import esp_contents
from osloom.assemble.filesystem import MAKERS, compressors_of
from osloom.assemble.place import Place, make_disk_file, write_contents
from osloom.assemble.request import Product, Request
from osloom.assemble.uki import plan_uki, root_id
from osloom.base.digest import Digest, derive_uuid
from osloom.engine.step import Job, Output, Step, action
from osloom.model.gpt_table import GROWS, Wanted, lay_out, write_gpt
from osloom.model.size import parse_size

_ROOT_TYPES = {"amd64": "root-x86-64", "arm64": "root-arm64"}


@action(version=5)
def make_disk(job: Job) -> Mapping[str, Digest]:
    """The tree `tree` and the UKI `uki` as a disk, raw or qcow2."""
    tree = job.tree()
    maker = MAKERS[job.parameters["filesystem"]]
    sizes = parse_size(job.parameters["esp_size"]), maker.size(job, tree)
    esp, root = _partitioned(job, tree.digest, sizes)
    with ThreadPoolExecutor(max_workers=1) as pool:
        beside = pool.submit(
            lambda: write_contents(esp.path, esp_contents(job, esp.offset, esp.size))
        )
        maker.write(job, tree, root)
        beside.result()
    return finished(job, esp.path)


def _partitioned(job: Job, tree: Digest, sizes: tuple[int, int]) -> Sequence[Place]:
    """The empty disk, ids from the tree; where on it the ESP and the root are."""
    esp, root = sizes
    partitions = [
        Wanted(type="esp", label="esp", id=derive_uuid("partition", "esp", tree), size=esp),
        Wanted(
            type=_ROOT_TYPES[job.parameters["architecture"]],
            label="root",
            id=UUID(job.parameters["root"]),
            size=root,
            attributes=GROWS,
        ),
    ]
    table, size = lay_out(partitions, identity=derive_uuid("disk", tree))
    path = job.work / "disk"
    make_disk_file(path, size, write_gpt(table, size))
    return [Place(path, one.offset, one.size) for one in table.partitions]


def finished(job: Job, disk: Path) -> Mapping[str, Digest]:
    """The raw disk in the working directory as a blob, in the format that was asked for."""
    made = disk
    if job.parameters["format"] == "qcow2":
        job.tools().run(
            ["qemu-img", "convert", "-O", "qcow2", "-f", "raw", made.name, "disk.qcow2"],
            work=job.work,
        )
        made = job.work / "disk.qcow2"
    return {"file": job.store.blobs.add_file(made)}


def plan(request: Request) -> tuple[Product, ...]:
    return plan_disk(request, request.tree, {"uki": plan_uki(request)})


def plan_disk(request: Request, tree: Output, ukis: Mapping[str, Output]) -> tuple[Product, ...]:
    """The disk with `tree` as root; `ukis` has `uki`, and may have `others` (`esp`)."""
    settings = request.image.disk
    disk = Step(
        action=make_disk,
        title=f"write {request.name}.{settings.format}",
        group=request.name,
        parameters={
            "architecture": request.architecture,
            "compression": settings.compression,
            "epoch": request.epoch,
            "esp_size": settings.esp_size,
            "filesystem": settings.filesystem,
            "format": settings.format,
            "name": f"{request.name}_{request.project.version}",
            "root": root_id(request.tree),
            "size": settings.size,
        },
        inputs={
            "tree": tree,
            **ukis,
            "tools": request.tools,
            **compressors_of(settings.filesystem, settings.compression, request.compressors),
        },
    )
    return (Product(path=f"{request.name}.{settings.format}", output=disk.output("file")),)
