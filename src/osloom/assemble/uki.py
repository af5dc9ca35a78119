"""Output `uki`: kernel, initrd and command line as one EFI program, ukify(1).

https://uapi-group.org/specifications/specs/unified_kernel_image/
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from osloom.assemble.initrd import plan_initrd, plan_kernel
from osloom.assemble.request import Product, Request
from osloom.base.digest import Digest, derive_uuid
from osloom.engine.step import Job, Output, Step, action

STUBS = {"amd64": "linuxx64.efi.stub", "arm64": "linuxaa64.efi.stub"}
_CONSOLES = {"amd64": "ttyS0", "arm64": "ttyAMA0"}
_BOOT = "/usr/lib/systemd/boot/efi"


def root_id(tree: Output) -> str:
    """The partition id of the root file system that will hold `tree`: known before it is made."""
    return str(derive_uuid("partition", "root", tree.step.key))


def command_line(*, root: str, writable: bool, console: str, extra: list[str]) -> str:
    """The kernel's command line, kernel-command-line(7); the last console gets the messages."""
    words = [f"root=PARTUUID={root}", "rw" if writable else "ro"]
    # What a read-only system writes is kept in memory and forgotten, systemd-volatile-root(8).
    words += [] if writable else ["systemd.volatile=overlay"]
    return " ".join([*words, "console=tty0", f"console={console}", *extra])


@action(version=3)
def build_uki(job: Job) -> Mapping[str, Digest]:
    """One EFI program from `vmlinuz`, `initrd`, `release` (os-release) and `version`."""
    blobs = job.store.blobs
    parameters = job.parameters
    line = command_line(
        root=parameters["root"],
        writable=parameters["writable"],
        console=_CONSOLES[parameters["architecture"]],
        extra=parameters["command_line"],
    )
    reads = {name: blobs.path(job.digest(name)) for name in ("vmlinuz", "initrd", "release")}
    version = blobs.read(job.digest("version")).decode()
    return {"file": run_ukify(job, reads, line, [f"--uname={version}"])}


def run_ukify(
    job: Job, reads: Mapping[str, Path], line: str, options: Sequence[str] = ()
) -> Digest:
    """The EFI program with the files `vmlinuz`, `release` and, if there is one, `initrd`."""
    initrd = ["--initrd=/mnt/initrd"] if "initrd" in reads else []
    job.tools().run(
        [
            "ukify",
            "build",
            "--linux=/mnt/vmlinuz",
            *initrd,
            "--os-release=@/mnt/release",
            f"--cmdline={line}",
            *options,
            f"--stub={_BOOT}/{STUBS[job.parameters['architecture']]}",
            "--output=/mnt/work/uki.efi",
        ],
        work=job.work,
        reads=reads,
        environment={
            "SOURCE_DATE_EPOCH": str(job.parameters["epoch"]),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
    )
    return job.store.blobs.add_file(job.work / "uki.efi")


def plan_uki(request: Request) -> Output:
    """The UKI of the image; begun before the image is whole, of what is foretold of it."""
    foretold = request.foretold
    ahead = (_plan(request, foretold, ()),) if foretold is not None else ()
    return _plan(request, request.tree, ahead)


def _plan(request: Request, tree: Output, ahead: tuple[Output, ...]) -> Output:
    kernel = plan_kernel(request, tree)
    step = Step(
        action=build_uki,
        title=f"build the UKI of {request.name}",
        group=request.name,
        ahead=ahead,
        parameters={
            "architecture": request.architecture,
            "command_line": list(request.image.kernel_command_line),
            "epoch": request.epoch,
            "root": root_id(request.tree),
            "writable": request.image.disk.filesystem != "erofs",
        },
        inputs={
            "vmlinuz": kernel.output("vmlinuz"),
            "version": kernel.output("version"),
            "release": kernel.output("release"),
            "initrd": plan_initrd(request, kernel),
            "tools": request.tools,
        },
    )
    return step.output("file")


def plan(request: Request) -> tuple[Product, ...]:
    return (Product(path=f"{request.name}.efi", output=plan_uki(request)),)
