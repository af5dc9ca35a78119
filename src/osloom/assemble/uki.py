"""Output `uki`: kernel, initrd and command line as one EFI program, ukify(1).

https://uapi-group.org/specifications/specs/unified_kernel_image/
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from osloom.assemble.initrd import plan_initrd, plan_kernel
from osloom.assemble.request import Product, Request
from osloom.base.digest import Digest, derive_uuid
from osloom.engine.step import Input, Job, Output, Step, action

STUBS = {"amd64": "linuxx64.efi.stub", "arm64": "linuxaa64.efi.stub"}
_CONSOLES = {"amd64": "ttyS0", "arm64": "ttyAMA0"}
_BOOT = "/usr/lib/systemd/boot/efi"


def root_id(tree: Output) -> str:
    """The partition id of the root file system that will hold `tree`: known before it is made."""
    return str(derive_uuid("partition", "root", tree.step.key))


def verified_command_line(*, root_hash: str, console: str, extra: list[str]) -> str:
    """Of an appliance: its root is what has this hash, systemd-veritysetup-generator(8)."""
    words = [f"roothash={root_hash}", "root=/dev/mapper/root", "rootfstype=erofs", "ro"]
    # A kernel or a first process that gives up would stop for ever.
    words += ["panic=10", "systemd.crash_action=reboot", "console=tty0", f"console={console}"]
    return " ".join([*words, *extra])


def command_line(*, root: str, writable: bool, console: str, extra: list[str]) -> str:
    """The kernel's command line, kernel-command-line(7); the last console gets the messages."""
    words = [f"root=PARTUUID={root}", "rw" if writable else "ro"]
    # What a read-only system writes is kept in memory and forgotten, systemd-volatile-root(8).
    words += [] if writable else ["systemd.volatile=overlay"]
    return " ".join([*words, "console=tty0", f"console={console}", *extra])


@action(version=3)
def build_uki(job: Job) -> Mapping[str, Digest]:
    """One EFI program from `vmlinuz`, `initrd`, `release` (os-release) and `version`.

    With `root_hash` for the root that has it; `public` is the key that signs what it is measured to.
    """
    blobs = job.store.blobs
    parameters = job.parameters
    console, extra = _CONSOLES[parameters["architecture"]], parameters["command_line"]
    if "root_hash" in job.inputs:
        root_hash = blobs.read(job.digest("root_hash")).decode()
        line = verified_command_line(root_hash=root_hash, console=console, extra=extra)
    else:
        root, writable = parameters["root"], parameters["writable"]
        line = command_line(root=root, writable=writable, console=console, extra=extra)
    reads = {name: blobs.path(job.digest(name)) for name in ("vmlinuz", "initrd", "release")}
    version = blobs.read(job.digest("version")).decode()
    options = [f"--uname={version}"]
    if "public" in job.inputs:
        reads["public"] = blobs.path(job.digest("public"))
        options.append("--pcrpkey=/mnt/public")
    return {"file": run_ukify(job, reads, line, options)}


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


def plan_uki(request: Request, *, root_hash: Output | None = None) -> Output:
    """The UKI of the image; begun before the image is whole, of what is foretold of it.

    `root_hash` is that of an appliance's root.
    """
    foretold = request.foretold
    if foretold is None:
        return _plan(request, request.tree, (), root_hash)
    if root_hash is not None:
        early = plan_initrd(request, plan_kernel(request, foretold))
        return _plan(request, request.tree, (early,), root_hash)
    return _plan(request, request.tree, (_plan(request, foretold, (), None),), None)


def _plan(
    request: Request, tree: Output, ahead: tuple[Output, ...], root_hash: Output | None
) -> Output:
    kernel = plan_kernel(request, tree)
    parameters = {
        "architecture": request.architecture,
        "command_line": list(request.image.kernel_command_line),
        "epoch": request.epoch,
    }
    inputs: dict[str, Input] = {
        "vmlinuz": kernel.output("vmlinuz"),
        "version": kernel.output("version"),
        "release": kernel.output("release"),
        "initrd": plan_initrd(request, kernel),
        "tools": request.tools,
    }
    if root_hash is not None:
        inputs["root_hash"] = root_hash
        if request.secure_boot is not None:
            inputs["public"] = request.secure_boot.public
    else:
        parameters["root"] = root_id(request.tree)
        parameters["writable"] = request.image.disk.filesystem != "erofs"
    return Step(
        action=build_uki,
        title=f"build the UKI of {request.name}",
        group=request.name,
        ahead=ahead,
        parameters=parameters,
        inputs=inputs,
    ).output("file")


def plan(request: Request) -> tuple[Product, ...]:
    if request.appliance is not None:
        from osloom.assemble.appliance.version import plan_version

        return (Product(path=f"{request.name}.efi", output=plan_version(request).uki),)
    return (Product(path=f"{request.name}.efi", output=plan_uki(request)),)
