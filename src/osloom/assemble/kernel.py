"""The kernel of an image: its version, its file, and the modules an initrd needs of it."""

import re
from collections.abc import Iterable, Mapping, Sequence

from osloom.base.digest import Digest
from osloom.base.errors import BuildError
from osloom.engine.step import Job, action
from osloom.model.tree import Tree, with_parents

_MODULES = "usr/lib/modules/"

EARLY = (
    "arch/[^/]+/crypto/",
    "block/",
    "crypto/",
    "drivers/ata/",
    "drivers/block/(loop|virtio_blk|xen-blkfront|zram)",
    "drivers/cdrom/",
    "drivers/char/hw_random/virtio",
    "drivers/firmware/qemu_fw_cfg",
    "drivers/hid/(hid|hid-generic|usbhid/usbhid)\\.",
    "drivers/hv/",
    "drivers/input/serio/",
    "drivers/md/dm-",
    "drivers/mmc/",
    "drivers/net/virtio_net",
    "drivers/nvme/host/",
    "drivers/scsi/(hv_storvsc|scsi_mod|sd_mod|sr_mod|virtio_scsi|vmw_pvscsi)",
    "drivers/usb/(core|host|storage)/",
    "drivers/virtio/",
    "fs/(btrfs|efivarfs|erofs|ext4|fat|fuse|isofs|jbd2|nls|overlayfs|squashfs|udf|xfs)/",
    "lib/",
    "net/vmw_vsock/",
)
"""What may be needed before the root file system is there, below `kernel/`."""


def kernel_versions(tree: Tree) -> list[str]:
    """Versions of the kernels in a tree, the newest last."""
    found = {
        path.removeprefix(_MODULES).split("/", 1)[0]
        for path in tree
        if path.startswith(_MODULES) and path != _MODULES
    }
    return sorted((version for version in found if version), key=_natural)


def _natural(text: str) -> list[tuple[int, str]]:
    return [(int(number or 0), word) for number, word in re.findall(r"(\d*)(\D*)", text)]


def find_kernel(tree: Tree, version: str) -> str | None:
    """The path of the kernel's file."""
    for path in (f"{_MODULES}{version}/vmlinuz", f"boot/vmlinuz-{version}"):
        if path in tree:
            return path
    return None


def with_needs(wanted: Iterable[str], depends: Mapping[str, Sequence[str]]) -> set[str]:
    """Modules and all that they need, as `modules.dep` has it."""
    todo, found = list(wanted), set[str]()
    while todo:
        module = todo.pop()
        if module not in found:
            found.add(module)
            todo.extend(depends.get(module, ()))
    return found


def parse_depends(text: str) -> dict[str, list[str]]:
    """`modules.dep`: a module and what it needs on each line, modules.dep(5)."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        module, _, needs = line.partition(":")
        found[module] = needs.split()
    return found


def choose_modules(
    depends: Mapping[str, Sequence[str]], extra: Sequence[str], early: Sequence[str] = EARLY
) -> set[str]:
    """The modules of an initrd: what the patterns `early` match, and `extra` by name.

    Raises BuildError for an extra one that does not exist.
    """
    pattern = re.compile(f"kernel/(?:{'|'.join(early)})")
    wanted = {module for module in depends if pattern.match(module)}
    by_name = {_name(module): module for module in depends}
    for name in extra:
        module = by_name.get(name.replace("-", "_"))
        if module is None:
            raise BuildError(
                f"cannot find the kernel module `{name}`",
                hint="check `modules` in the table `initrd`; built-in ones need no entry",
            )
        wanted.add(module)
    return with_needs(wanted, depends)


def _name(module: str) -> str:
    return module.rpartition("/")[2].partition(".")[0].replace("-", "_")


@action(version=2)
def extract_kernel(job: Job) -> Mapping[str, Digest]:
    """The newest kernel of the tree `tree`: `vmlinuz`, and `tree` with its early modules."""
    tree = job.tree()
    versions = [version for version in kernel_versions(tree) if find_kernel(tree, version)]
    if not versions:
        raise BuildError(
            "cannot make the image boot: it has no kernel",
            hint="add a package such as `linux-image-cloud-amd64`",
        )
    version = versions[-1]
    base = f"{_MODULES}{version}/"
    listed = tree.get(f"{base}modules.dep")
    if listed is None or listed.digest is None:
        raise BuildError(
            f"cannot make an initrd: kernel {version} has no modules.dep",
            hint="add the package `kmod`, and leave `configure` at `dpkg`",
        )
    depends = parse_depends(job.store.blobs.read(listed.digest).decode())
    chosen = choose_modules(depends, job.parameters["modules"], job.parameters.get("early", EARLY))
    nodes = {
        path: node
        for path, node in tree.items()
        if path.startswith(f"{base}modules.") or path.removeprefix(base) in chosen
    }
    path = find_kernel(tree, version)
    assert path is not None
    vmlinuz = tree[path].digest
    assert vmlinuz is not None
    job.facts["version"] = version
    release = tree.get(tree.resolve("etc/os-release")) or tree.get("usr/lib/os-release")
    return {
        "vmlinuz": vmlinuz,
        "tree": job.store.add_tree(with_parents(nodes, mtime=job.parameters["epoch"])),
        "version": job.store.blobs.add(version.encode()),
        "release": (release.digest if release else None) or job.store.blobs.add(b"ID=linux\n"),
    }
