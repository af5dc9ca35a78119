"""Output `uki`: kernel, initrd and command line as one EFI program.

https://uapi-group.org/specifications/specs/unified_kernel_image/
"""

from collections.abc import Mapping
from typing import Any

from osloom.assemble.boot_programs import find_stub
from osloom.assemble.initrd import plan_initrd, plan_kernel
from osloom.assemble.request import Product, Request
from osloom.base.digest import Digest, derive_uuid
from osloom.engine.step import Action, Input, Job, Output, Step, action
from osloom.model.appliance import LEAST_DISK, Appliance, least_disk_size
from osloom.model.uki import Parts, make_uki

_CONSOLES = {"amd64": "ttyS0", "arm64": "ttyAMA0"}


def root_id(tree: Output) -> str:
    """The partition id of the root file system that will hold `tree`: known before it is made."""
    return str(derive_uuid("partition", "root", tree.step.key))


def verified_words(request: Request, appliance: Appliance) -> list[str]:
    """Of an appliance's command line: all but its root's hash (systemd-veritysetup-generator(8))."""
    words = ["root=/dev/mapper/root", "rootfstype=erofs", "ro"]
    # A kernel or a first process that gives up would stop for ever.
    words += ["panic=10", "systemd.crash_action=reboot"]
    words += [f"{LEAST_DISK}={least_disk_size(appliance)}"]
    words += ["console=tty0", f"console={_CONSOLES[request.architecture]}"]
    return [*words, *request.image.kernel_command_line]


def command_line(*, root: str, writable: bool, console: str, extra: list[str]) -> str:
    """The kernel's command line, kernel-command-line(7); the last console gets the messages."""
    words = [f"root=PARTUUID={root}", "rw" if writable else "ro"]
    # What a read-only system writes is kept in memory and forgotten, systemd-volatile-root(8).
    words += [] if writable else ["systemd.volatile=overlay"]
    return " ".join([*words, "console=tty0", f"console={console}", *extra])


@action(version=5)
def build_uki(job: Job) -> Mapping[str, Digest]:
    """One EFI program from `vmlinuz`, `initrd`, `release` (os-release) and `version`."""
    line = command_line(
        root=job.parameters["root"],
        writable=job.parameters["writable"],
        console=_CONSOLES[job.parameters["architecture"]],
        extra=job.parameters["command_line"],
    )
    return {"file": job.store.blobs.add(make_uki(_parts(job, line)))}


@action(version=3)
def begin_uki(job: Job) -> Mapping[str, Digest]:
    """As `build_uki`, without a command line: so it is made while an appliance's root is, and stays
    when a word changes. `public` is the key that signs what it is measured to.
    """
    return {"file": job.store.blobs.add(make_uki(_parts(job, None)))}


def _parts(job: Job, line: str | None) -> Parts:
    read = job.store.blobs.read
    return Parts(
        stub=stub_of(job),
        kernel=read(job.digest("vmlinuz")),
        release=read(job.digest("release")),
        initrds=[read(job.digest("initrd"))],
        line=line,
        uname=read(job.digest("version")).decode(),
        public=read(job.digest("public")) if "public" in job.inputs else None,
    )


def stub_of(job: Job) -> bytes:
    """systemd-stub(7), of the tools image."""
    return job.store.blobs.read(find_stub(job.tree("tools"), job.parameters["architecture"]))


def plan_uki(request: Request) -> Output:
    """The UKI of the image; begun before the image is whole, of what is foretold of it."""
    settings = {
        "command_line": list(request.image.kernel_command_line),
        "root": root_id(request.tree),
        "writable": request.image.disk.filesystem != "erofs",
    }
    return _plan(request, build_uki, settings, {}).output("file")


def plan_begun_uki(request: Request) -> Step:
    """The UKI of an appliance, but for its command line; output `file`."""
    secure_boot = request.secure_boot
    public = {} if secure_boot is None else {"public": secure_boot.public}
    return _plan(request, begin_uki, {}, public)


def _plan(
    request: Request, made_by: Action, settings: Mapping[str, Any], more: Mapping[str, Input]
) -> Step:
    def of(tree: Output, ahead: tuple[Output, ...]) -> Step:
        kernel = plan_kernel(request, tree)
        return Step(
            action=made_by,
            title=f"build the UKI of {request.name}",
            group=request.name,
            ahead=ahead,
            parameters={
                "architecture": request.architecture,
                "epoch": request.epoch,
                **settings,
            },
            inputs={
                "vmlinuz": kernel.output("vmlinuz"),
                "version": kernel.output("version"),
                "release": kernel.output("release"),
                "initrd": plan_initrd(request, kernel),
                "tools": request.tools,
                **more,
            },
        )

    foretold = request.foretold
    ahead = () if foretold is None else (of(foretold, ()).output("file"),)
    return of(request.tree, ahead)


def plan(request: Request) -> tuple[Product, ...]:
    return (Product(path=f"{request.name}.efi", output=plan_uki(request)),)
