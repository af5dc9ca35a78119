"""Output `disk`: a GPT disk that boots by UEFI.

    ESP    systemd-boot, and the UKI at EFI/Linux
    root   the image's tree

systemd-repart writes the table into an empty file, offline, and both file systems are then made in
their places: nothing is written twice, and what is empty stays a hole. What the first boot grows
follows the same kind of definitions, repart.d(5).
"""

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

from osloom.assemble.esp import esp_contents
from osloom.assemble.filesystem import MAKERS
from osloom.assemble.place import Place, write_contents
from osloom.assemble.request import Product, Request
from osloom.assemble.uki import plan_uki, root_id
from osloom.base.digest import Digest, derive_uuid
from osloom.engine.step import Job, Output, Step, action
from osloom.model.appliance import Settings, exactly, repart_files
from osloom.model.size import parse_size

_ROOT_TYPES = {"amd64": "root-x86-64", "arm64": "root-arm64"}
_GRAIN = 4096
"""To which partitions are aligned."""


@action(version=4)
def make_disk(job: Job) -> Mapping[str, Digest]:
    """The tree `tree` and the UKI `uki` as a disk, raw or qcow2."""
    tree = job.tree()
    maker = MAKERS[job.parameters["filesystem"]]
    sizes = parse_size(job.parameters["esp_size"]), maker.size(job, tree)
    esp, root = _partitioned(job, tree.digest, sizes)
    with ThreadPoolExecutor(max_workers=1) as pool:
        beside = pool.submit(lambda: write_contents(esp.path, esp_contents(job, esp)))
        maker.write(job, tree, root)
        beside.result()
    return finished(job, esp.path)


def _partitioned(job: Job, tree: Digest, sizes: tuple[int, int]) -> Sequence[Place]:
    """The empty disk, ids from the tree; where on it the ESP and the root are."""
    esp, root = (-(-size // _GRAIN) * _GRAIN for size in sizes)
    partitions = [
        {"Type": "esp", "Label": "esp", "UUID": str(derive_uuid("partition", "esp", tree))}
        | exactly(esp),
        {
            "Type": _ROOT_TYPES[job.parameters["architecture"]],
            "Label": "root",
            "UUID": job.parameters["root"],
            "GrowFileSystem": "yes",
        }
        | exactly(root),
    ]
    return make_table(job, partitions, seed=derive_uuid("disk", tree))


def make_table(
    job: Job, partitions: Sequence[Settings], *, seed: UUID, size: int | None = None
) -> list[Place]:
    """An empty disk with `partitions`, the file `disk` of the working directory.

    Of `size` bytes, or just what they take.
    """
    definitions = job.work / "repart.d"
    definitions.mkdir()
    for name, text in repart_files(partitions).items():
        (definitions / name).write_text(text)
    done = job.tools().run(
        [
            "systemd-repart",
            "--empty=create",
            f"--size={size or 'auto'}",
            "--offline=yes",
            "--dry-run=no",
            "--no-pager",
            "--json=short",
            f"--seed={seed}",
            "--definitions=/mnt/work/repart.d",
            "/mnt/work/disk",
        ],
        work=job.work,
        environment={"SOURCE_DATE_EPOCH": str(job.parameters["epoch"])},
    )
    return [
        Place(job.work / "disk", one["offset"], one["raw_size"]) for one in json.loads(done.stdout)
    ]


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
        inputs={"tree": tree, **ukis, "tools": request.tools},
    )
    return (Product(path=f"{request.name}.{settings.format}", output=disk.output("file")),)
