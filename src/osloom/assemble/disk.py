"""Output `disk`: a GPT disk that boots by UEFI.

    ESP    systemd-boot, and the UKI at EFI/Linux
    root   the image's tree

Partitions are put together by systemd-repart, offline, from files made before; what the first boot
grows follows the same kind of definitions, repart.d(5).
"""

from collections.abc import Mapping
from pathlib import Path

from osloom.assemble.filesystem import make_filesystem, parse_size
from osloom.assemble.request import Product, Request
from osloom.assemble.uki import plan_uki, root_id
from osloom.base.digest import Digest, derive_uuid
from osloom.base.errors import BuildError
from osloom.engine.step import Job, Output, Step, action

_LOADERS = {
    "amd64": ("systemd-bootx64.efi", "BOOTX64.EFI"),
    "arm64": ("systemd-bootaa64.efi", "BOOTAA64.EFI"),
}
_ROOT_TYPES = {"amd64": "root-x86-64", "arm64": "root-arm64"}
_LOADER_CONF = "timeout 0\nconsole-mode keep\n"


@action(version=1)
def make_esp(job: Job) -> Mapping[str, Digest]:
    """A FAT file system with systemd-boot and the UKI `uki`; same bytes at any time of day."""
    parameters = job.parameters
    size = parse_size(parameters["size"])
    uki = job.store.blobs.path(job.digest("uki"))
    if uki.stat().st_size > size * 9 // 10:
        raise BuildError(
            f"cannot fit the UKI ({uki.stat().st_size >> 20} MiB) into an ESP of {size >> 20} MiB",
            hint="raise `esp-size` in the table `disk`",
        )
    tools = job.tools()
    source, fallback = _LOADERS[parameters["architecture"]]
    loader = tools.root / "usr/lib/systemd/boot/efi" / source
    image = job.work / "esp"
    with image.open("wb") as file:
        file.truncate(size)
    (job.work / "loader.conf").write_text(_LOADER_CONF)
    identity = derive_uuid("filesystem", "esp", job.digest("uki")).hex[:8]
    script = f"""
        set -e
        mkfs.vfat --invariant -i {identity} -n ESP /mnt/work/esp >/dev/null
        export MTOOLS_SKIP_CHECK=1
        mmd -i /mnt/work/esp ::/EFI ::/EFI/BOOT ::/EFI/systemd ::/EFI/Linux ::/loader
        copy() {{ mcopy -m -i /mnt/work/esp "$1" "::$2"; }}
        copy /mnt/work/loader /EFI/BOOT/{fallback}
        copy /mnt/work/loader /EFI/systemd/{source}
        copy /mnt/work/loader.conf /loader/loader.conf
        copy /mnt/work/uki /EFI/Linux/{parameters["name"]}.efi
        rm /mnt/work/loader /mnt/work/uki
    """
    _place(loader, job.work / "loader", parameters["epoch"])
    _place(uki, job.work / "uki", parameters["epoch"])
    _set_time(job.work / "loader.conf", parameters["epoch"])
    tools.run(
        ["sh", "-c", script],
        work=job.work,
        environment={"SOURCE_DATE_EPOCH": str(parameters["epoch"])},
    )
    return {"file": job.store.blobs.add_file(image)}


def _place(source: Path, target: Path, epoch: int) -> None:
    import shutil

    shutil.copyfile(source, target)
    _set_time(target, epoch)


def _set_time(path: Path, epoch: int) -> None:
    import os

    os.utime(path, (epoch, epoch))


@action(version=1)
def make_disk(job: Job) -> Mapping[str, Digest]:
    """Partitions from `esp` and `root`, ids from the tree `tree`; raw or qcow2."""
    parameters = job.parameters
    tree = job.digest()
    definitions = job.work / "repart.d"
    definitions.mkdir()
    (definitions / "10-esp.conf").write_text(
        "[Partition]\nType=esp\nLabel=esp\nCopyBlocks=/mnt/esp\n"
        f"UUID={derive_uuid('partition', 'esp', tree)}\n"
    )
    (definitions / "20-root.conf").write_text(
        f"[Partition]\nType={_ROOT_TYPES[parameters['architecture']]}\nLabel=root\n"
        f"CopyBlocks=/mnt/root\nUUID={root_id(tree)}\nGrowFileSystem=yes\n"
    )
    blobs = job.store.blobs
    tools = job.tools()
    tools.run(
        [
            "systemd-repart",
            "--empty=create",
            "--size=auto",
            "--offline=yes",
            "--dry-run=no",
            "--no-pager",
            f"--seed={derive_uuid('disk', tree)}",
            "--definitions=/mnt/work/repart.d",
            "/mnt/work/disk",
        ],
        work=job.work,
        reads={"esp": blobs.path(job.digest("esp")), "root": blobs.path(job.digest("root"))},
        environment={"SOURCE_DATE_EPOCH": str(parameters["epoch"])},
    )
    if parameters["format"] == "qcow2":
        tools.run(
            ["qemu-img", "convert", "-O", "qcow2", "-f", "raw", "disk", "disk.qcow2"],
            work=job.work,
        )
        return {"file": blobs.add_file(job.work / "disk.qcow2")}
    return {"file": blobs.add_file(job.work / "disk")}


def plan(request: Request) -> tuple[Product, ...]:
    settings = request.image.disk
    esp = Step(
        action=make_esp,
        title=f"make the ESP of {request.name}",
        group=request.name,
        parameters={
            "architecture": request.architecture,
            "epoch": request.epoch,
            "name": f"{request.name}_{request.project.version}",
            "size": settings.esp_size,
        },
        inputs={"uki": plan_uki(request), "tools": request.tools},
    )
    disk = Step(
        action=make_disk,
        title=f"write {request.name}.{settings.format}",
        group=request.name,
        parameters={
            "architecture": request.architecture,
            "epoch": request.epoch,
            "format": settings.format,
        },
        inputs={
            "tree": request.tree,
            "esp": esp.output("file"),
            "root": _root(request),
            "tools": request.tools,
        },
    )
    return (Product(path=f"{request.name}.{settings.format}", output=disk.output("file")),)


def _root(request: Request) -> Output:
    settings = request.image.disk
    step = Step(
        action=make_filesystem,
        title=f"make the root file system of {request.name}",
        group=request.name,
        parameters={
            "compression": settings.compression,
            "epoch": request.epoch,
            "filesystem": settings.filesystem,
            "size": settings.size,
        },
        inputs={"tree": request.tree, "tools": request.tools},
    )
    return step.output("file")
