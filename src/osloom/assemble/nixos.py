"""What boots a NixOS system: its own kernel, initrd and words, as its bootspec says.

Nothing of osloom's own is added to them, least of all `root=`: NixOS mounts what its configuration
says, and a second word for it fails its initrd (systemd.fstab-generator(8) would make sysroot.mount
twice). So the disk has to be the one that the configuration names, which is checked here.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from osloom.assemble import disk, oci, tar
from osloom.assemble.request import Product, Request
from osloom.assemble.uki import stub_of
from osloom.base.digest import Digest
from osloom.base.errors import BuildError
from osloom.engine.step import Job, Step, action
from osloom.model.bootspec import FIRST, Bootspec, Entry, parse_bootspec
from osloom.model.closure import STORE
from osloom.model.tree import Node, Tree
from osloom.model.uki import Parts, make_uki

_DEVICES = re.compile(r"/dev/disk/by-|/dev/root$|[A-Z]+=")
"""Devices of fstab(5) that name something on a disk by what is written on it."""
_ROOTS = ("/dev/disk/by-partlabel/root", "/dev/disk/by-label/root", "PARTLABEL=root", "LABEL=root")
_ESPS = ("/dev/disk/by-partlabel/esp", "/dev/disk/by-label/ESP", "PARTLABEL=esp", "LABEL=ESP")

Read = Callable[[Digest], bytes]


def read_bootspec(tree: Tree, read: Read, architecture: str) -> Bootspec:
    """The bootspec of the NixOS system that `tree` is. Raises BuildError."""
    node = tree.get(tree.resolve(f"{FIRST}/boot.json"))
    if node is None or node.digest is None:
        raise BuildError(
            f"cannot make the NixOS system {tree[FIRST].target} boot: it has no boot.json",
            hint="a system with `boot.isContainer = true` has no kernel: give it the outputs "
            "`nspawn`, `oci` or `tar`, or take that out of its configuration",
        )
    start = f"{STORE[1:]}/"
    closure = frozenset(
        path.removeprefix(start) for path in tree if path.startswith(start) and path.count("/") == 2
    )
    return parse_bootspec(read(node.digest), closure=closure, architecture=architecture)


def _file(tree: Tree, path: str) -> Digest:
    node = tree.get(tree.resolve(path))
    if node is None or node.digest is None:
        raise BuildError(
            f"cannot make the NixOS system boot: {path} of its boot.json is no file",
            hint="build the system again, and then `osloom lock`",
        )
    return node.digest


@action(version=2)
def build_ukis(job: Job) -> Mapping[str, Digest]:
    """The UKI of the system `tree` as `file`, and those of its specialisations as a tree `others`.

    `command_line` has words to add.
    """
    blobs = job.store.blobs
    tree = job.tree()
    spec = read_bootspec(tree, blobs.read, job.parameters["architecture"])

    def made(entry: Entry, title: str) -> Node:
        uki = make_uki(parts_of(job, tree, entry, title, line=_line(job, entry)))
        return Node("file", 0o644, size=len(uki), digest=blobs.add(uki))

    others = {
        f"specialisation-{name}.efi": made(one.entry, f"{one.entry.label} ({name})")
        for name, one in spec.specialisations.items()
    }
    job.facts["specialisations"] = len(others)
    own = made(spec.entry, spec.entry.label).digest
    assert own is not None
    return {"file": own, "others": job.store.add_tree(Tree(others))}


def _line(job: Job, entry: Entry) -> str:
    return " ".join([*entry.command_line, *job.parameters["command_line"]])


def parts_of(
    job: Job, tree: Tree, entry: Entry, title: str, *, line: str | None, release: Sequence[str] = ()
) -> Parts:
    """The UKI of one entry, which a boot menu shows as `title`; `line` is its command line, and the
    lines `release` are added to os-release(5)."""
    blobs = job.store.blobs
    text = blobs.read(_file(tree, f"{entry.toplevel}/etc/os-release"))
    return Parts(
        stub=stub_of(job),
        kernel=blobs.read(_file(tree, entry.kernel)),
        release=titled(text, title, release),
        initrds=[] if entry.initrd is None else [blobs.read(_file(tree, entry.initrd))],
        line=line,
    )


def titled(release: bytes, title: str, more: Sequence[str] = ()) -> bytes:
    """os-release(5) with `title` as what a boot menu shows, PRETTY_NAME, and the lines `more`."""
    new = {line.partition("=")[0] for line in more} | {"PRETTY_NAME"}
    kept = [
        line
        for line in release.splitlines()
        if line.partition(b"=")[0].decode(errors="replace") not in new
    ]
    quoted = re.sub(r'([\\"$`])', r"\\\1", title)
    added = [f'PRETTY_NAME="{quoted}"', *more]
    return b"\n".join([*kept, *(line.encode() for line in added), b""])


def initrd_of(tree: Tree, spec: Bootspec) -> Digest:
    """The initrd of the system `tree`. Raises BuildError when it has none."""
    if spec.entry.initrd is None:
        raise BuildError(
            "cannot take the initrd of the NixOS system: it has none",
            hint="set `boot.initrd.enable = true` in its configuration, or leave the output out",
        )
    return _file(tree, spec.entry.initrd)


@action(version=1, light=True)
def take_initrd(job: Job) -> Mapping[str, Digest]:
    """The initrd of the system `tree`, as it is."""
    tree, blobs = job.tree(), job.store.blobs
    spec = read_bootspec(tree, blobs.read, job.parameters["architecture"])
    return {"file": blobs.add(blobs.read(initrd_of(tree, spec)))}


@action(version=1, light=True)
def check_disk(job: Job) -> Mapping[str, Digest]:
    """The system `tree` unchanged, when a disk with `filesystem` has what its fstab mounts."""
    tree = job.tree()
    node = tree.get(tree.resolve(f"{FIRST}/etc/fstab"))
    text = (
        job.store.blobs.read(node.digest).decode(errors="replace") if node and node.digest else ""
    )
    for message, hint in missing(text, job.parameters["filesystem"]):
        raise BuildError(f"cannot make a disk of the NixOS system: {message}", hint=hint)
    return {"tree": job.digest()}


@action(version=1, light=True)
def check_container(job: Job) -> Mapping[str, Digest]:
    """The system `tree` unchanged, when it starts by itself, without an initrd."""
    tree = job.tree()
    # Where the initrd is systemd's, it activates the system with this program, and `init` is no
    # more than systemd, nixos/modules/system/activation/top-level.nix.
    if tree.resolve(f"{FIRST}/prepare-root") in tree:
        raise BuildError(
            "cannot make a container of the NixOS system: only its initrd can start it",
            hint="set `boot.isContainer = true` in its configuration: a container has no initrd",
        )
    return {"tree": job.digest()}


def missing(fstab: str, filesystem: str) -> Iterator[tuple[str, str]]:
    """What of fstab(5) the disk does not have, and the mend; `filesystem` is that of its root."""
    for line in fstab.splitlines():
        device, place, kind, options, *_ = (*line.partition("#")[0].split(), "", "", "", "")
        if place == "/" and _DEVICES.match(device) and device not in _ROOTS:
            yield _not_there(place, device, _ROOTS[0])
        elif place == "/" and device in _ROOTS and kind not in (filesystem, "auto"):
            said = f"it mounts / as {kind}, and the disk has {filesystem}"
            yield said, f'set `filesystem = "{kind}"` in the table `disk`, if it is one of those'
        elif (
            place in ("/boot", "/boot/efi", "/efi")
            and _DEVICES.match(device)
            and device not in _ESPS
            and "nofail" not in options.split(",")
        ):
            yield _not_there(place, device, _ESPS[0])


def _not_there(place: str, device: str, name: str) -> tuple[str, str]:
    said = f"it mounts {place} from {device}, which is not on the disk"
    return said, f'set `fileSystems."{place}".device = "{name}"` in its configuration'


def _plan_ukis(request: Request) -> Step:
    return Step(
        action=build_ukis,
        title=f"build the UKI of {request.name}",
        group=request.name,
        parameters={
            "architecture": request.architecture,
            "command_line": list(request.image.kernel_command_line),
            "epoch": request.epoch,
        },
        inputs={"tree": request.tree, "tools": request.tools},
    )


def plan_uki(request: Request) -> tuple[Product, ...]:
    ukis = _plan_ukis(request)
    return (Product(path=f"{request.name}.efi", output=ukis.output("file")),)


def plan_initrd(request: Request) -> tuple[Product, ...]:
    step = Step(
        action=take_initrd,
        title=f"take the initrd of {request.name}",
        group=request.name,
        parameters={"architecture": request.architecture},
        inputs={"tree": request.tree},
    )
    return (Product(path=f"{request.name}.initrd", output=step.output("file")),)


def plan_nspawn(request: Request) -> tuple[Product, ...]:
    return tar.plan_nspawn(_in_container(request))


def plan_oci(request: Request) -> tuple[Product, ...]:
    return oci.plan(_in_container(request))


def _in_container(request: Request) -> Request:
    checked = Step(
        action=check_container,
        title=f"check the system {request.name}",
        group=request.name,
        inputs={"tree": request.tree},
    )
    return msgspec.structs.replace(request, tree=checked.output())


def plan_disk(request: Request) -> tuple[Product, ...]:
    checked = Step(
        action=check_disk,
        title=f"check the mounts of {request.name}",
        group=request.name,
        parameters={"filesystem": request.image.disk.filesystem},
        inputs={"tree": request.tree},
    )
    ukis = _plan_ukis(request)
    programs = {"uki": ukis.output("file"), "others": ukis.output("others")}
    return disk.plan_disk(request, checked.output(), programs)
