"""The UKI of an appliance that is a NixOS system: its own kernel and initrd, and an archive after it.

The kernel unpacks one archive over the other, so the system's initrd stays as it is. What is added
mounts the verified image and makes the root in memory; programs are the system's own. In NixOS's
initrd /etc/systemd/system is a link into its store, so units are in a directory beside it.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from osloom.assemble.appliance.initrd import reset_files, trial_units
from osloom.assemble.nixos import initrd_of, parts_of, read_bootspec
from osloom.assemble.request import Request
from osloom.base.digest import Digest
from osloom.base.errors import BuildError
from osloom.engine.step import Input, Job, Step, action
from osloom.model.appliance import (
    ETC,
    NIX_IMAGE,
    Appliance,
    device_partitions,
    manager_settings,
    repart_files,
)
from osloom.model.cpio import write_cpio
from osloom.model.emergency import emergency_units
from osloom.model.initrd_names import read_initrd_names
from osloom.model.tree import Node, Tree, with_parents
from osloom.model.uki import make_uki
from osloom.store.blobs import Blobs

_DATA = Path(__file__).parent / "data"
_UNITS = "etc/systemd/system.attached"
_LIBRARY = "usr/lib/osloom"
_PLACE = f"/sysroot/{NIX_IMAGE}"
_EARLY = "DefaultDependencies=no\nBefore=initrd-fs.target\n"
_WORDS = ("panic=10", "systemd.crash_action=reboot")
"""A kernel or a first process that gives up would stop for ever."""
_PROGRAMS = {
    "systemd-veritysetup": "boot.initrd.systemd.dmVerity.enable = true",
    "systemd-veritysetup-generator": "boot.initrd.systemd.dmVerity.enable = true",
    "systemd-repart": "boot.initrd.systemd.repart.enable = true",
}
_MAKERS = {"ext4": "pkgs.e2fsprogs", "btrfs": "pkgs.btrfs-progs"}
_MODULES = ("dm-verity", "erofs", "overlay")


def archive_files(appliance: Appliance) -> Mapping[str, str]:
    """Texts by path: units, what they run, and the partitions that a first boot makes."""
    upper, work = f"/sysroot/var/{ETC}/upper", f"/sysroot/var/{ETC}/work"
    verity = "systemd-veritysetup@root.service"
    units = {
        "sysroot-nix-image.mount": f"""\
[Unit]
Description=The image of this version, verified
{_EARLY}Wants={verity}
After={verity}

[Mount]
What=/dev/mapper/root
Where={_PLACE}
Type=erofs
Options=ro
""",
        "sysroot-nix-store.mount": f"""\
[Unit]
Description=The store of this version
{_EARLY}RequiresMountsFor={_PLACE}

[Mount]
What={_PLACE}/nix/store
Where=/sysroot/nix/store
Type=none
Options=bind
""",
        "sysroot-etc.mount": f"""\
[Unit]
Description=/etc as this device has changed it
{_EARLY}RequiresMountsFor={_PLACE} /sysroot/var

[Mount]
What=overlay
Where=/sysroot/etc
Type=overlay
Options=lowerdir={_PLACE}/etc,upperdir={upper},workdir={work}
""",
        "osloom-partitions.service": f"""\
[Unit]
Description=Make the partitions that are not there
{_EARLY}Requires=dev-mapper-root.device
After=dev-mapper-root.device
Wants=osloom-reset-menu.service osloom-reset-credential.service
Before=sysroot-var.mount

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh /{_LIBRARY}/nixos-partitions
# No disk, no partition table: systemd-repart(8)
SuccessExitStatus=76 77
""",
        "osloom-root.service": f"""\
[Unit]
Description=Make the root of this system
{_EARLY}RequiresMountsFor={_PLACE} /sysroot/etc /sysroot/var

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh /{_LIBRARY}/nixos-root
""",
        "initrd-fs.target.d/osloom.conf": (
            "[Unit]\nRequires=osloom-partitions.service osloom-root.service "
            "sysroot-etc.mount sysroot-nix-store.mount\n"
        ),
        **trial_units(appliance),
    }
    return {
        **{f"{_UNITS}/{name}": text for name, text in units.items()},
        **{
            path.replace("usr/lib/systemd/system/", f"{_UNITS}/"): text.replace(
                "systemd-repart.service", "osloom-partitions.service"
            )
            for path, text in {**reset_files(appliance), **emergency_units()}.items()
        },
        **{
            f"{_LIBRARY}/{name}": (_DATA / f"{name}.sh").read_text()
            for name in ("failed-boot", "nixos-partitions", "nixos-root")
        },
        **{
            f"{_LIBRARY}/repart.d/{name}": text
            for name, text in repart_files(device_partitions(appliance)).items()
        },
        **{
            f"etc/systemd/system.conf.d/{path.rpartition('/')[2]}": text
            for path, text in manager_settings(appliance).items()
        },
    }


def _archive(texts: Mapping[str, str], blobs: Blobs, *, epoch: int) -> Iterator[bytes]:
    nodes = {}
    for path, text in texts.items():
        data = text.encode()
        nodes[path] = Node("file", 0o644, mtime=epoch, size=len(data), digest=blobs.add(data))
    return write_cpio(with_parents(nodes, mtime=epoch), blobs.chunks)


@action(version=3)
def begin_nixos_uki(job: Job) -> Mapping[str, Digest]:
    """The UKI of the system `tree` without a command line, and what of that is its own as `line`.

    `public` is the key that signs what it is measured to.
    """
    blobs = job.store.blobs
    tree, parameters = job.tree(), job.parameters
    appliance = msgspec.convert(parameters["appliance"], Appliance)
    spec = read_bootspec(tree, blobs.read, appliance.architecture)
    check_initrd(initrd_names(job, tree, appliance.architecture), appliance)
    archive = b"".join(_archive(parameters["files"], blobs, epoch=appliance.epoch))
    if spec.specialisations:
        job.facts["notes"] = "specialisations are left out: " + ", ".join(spec.specialisations)
    own = (f"IMAGE_ID={appliance.id}", f"IMAGE_VERSION={appliance.version}")
    line = " ".join([*_WORDS, *spec.entry.command_line])
    parts = parts_of(job, tree, spec.entry, spec.entry.label, line=None, release=own)
    parts = msgspec.structs.replace(
        parts,
        initrds=[*parts.initrds, archive],
        public=blobs.read(job.digest("public")) if "public" in job.inputs else None,
    )
    return {"file": blobs.add(make_uki(parts)), "line": blobs.add(line.encode())}


def initrd_names(job: Job, tree: Tree, architecture: str) -> frozenset[str]:
    """The paths in the initrd of the system `tree`."""
    blobs = job.store.blobs
    initrd = initrd_of(tree, read_bootspec(tree, blobs.read, architecture))
    with blobs.path(initrd).open("rb") as file:
        return read_initrd_names(file)


def check_initrd(names: frozenset[str], appliance: Appliance) -> None:
    """Raises BuildError where the initrd lacks what an appliance needs of it."""
    there = {name.rpartition("/")[2] for name in names if not name.startswith(("bin/", "sbin/"))}
    kind = appliance.disk.data.filesystem
    for program, setting in _PROGRAMS.items():
        if program not in there:
            raise _lacks(f"`{program}`", f"set `{setting}` in its configuration")
    if f"mkfs.{kind}" not in there:
        mend = f"add `{_MAKERS[kind]}` to `boot.initrd.systemd.initrdBin` in its configuration"
        raise _lacks(f"`mkfs.{kind}`", mend)
    for module in (*_MODULES, kind):
        wanted = module.replace("-", "_")
        if not any(
            name.partition(".")[0].replace("-", "_") == wanted and ".ko" in name for name in there
        ):
            mend = f'add "{module}" to `boot.initrd.availableKernelModules` in its configuration'
            raise _lacks(f"the kernel module `{module}`", mend)


def _lacks(what: str, hint: str) -> BuildError:
    return BuildError(
        f"cannot make an appliance of the NixOS system: its initrd has no {what}", hint=hint
    )


def plan_begun_uki(request: Request) -> Step:
    """The UKI, but for its command line; outputs `file` and `line`."""
    appliance = request.appliance
    assert appliance is not None
    public: dict[str, Input] = (
        {"public": request.secure_boot.public} if request.secure_boot is not None else {}
    )
    return Step(
        action=begin_nixos_uki,
        title=f"build the UKI of {request.name}",
        group=request.name,
        parameters={
            "appliance": msgspec.to_builtins(appliance),
            "architecture": request.architecture,
            "epoch": request.epoch,
            "files": dict(archive_files(appliance)),
        },
        inputs={"tree": request.tree, "tools": request.tools, **public},
    )
