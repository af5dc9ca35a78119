"""Output `initrd`: systemd, udev and early modules as a cpio archive, bootup(7).

An initrd is an image too: files of packages, of which no script has run. What those scripts would
have done and an initrd needs is a short list.
"""

from collections.abc import Iterator, Mapping

import msgspec

from osloom.assemble.appliance.initrd import early_modules, initrd_files
from osloom.assemble.compression import compress, compressed, programs
from osloom.assemble.kernel import extract_kernel
from osloom.assemble.request import Product, Request
from osloom.assemble.segments import joined, split_tree
from osloom.base.digest import Digest
from osloom.base.errors import BuildError
from osloom.engine.step import Job, Output, Step, action
from osloom.model.cpio import write_cpio
from osloom.model.tree import Node, Tree, with_parents
from osloom.store.blobs import Blobs

_LEFT_OUT = (
    "boot",
    "etc/apt",
    "etc/cron.d",
    "etc/cron.daily",
    "etc/init.d",
    "usr/include",
    "usr/lib/apt",
    "usr/lib/python3",
    "usr/lib/systemd/boot",
    "usr/lib/systemd/catalog",
    "usr/lib/systemd/systemd-networkd",
    "usr/lib/systemd/system/sysinit.target.wants/ldconfig.service",
    "usr/lib/systemd/user",
    "usr/lib/tmpfiles.d/legacy.conf",
    "usr/lib/udev/hwdb.d",
    "usr/share",
    "var/cache",
    "var/lib/dpkg",
)
"""What an initrd does not need of the packages."""
_LIBRARIES_LEFT_OUT = (
    "engines-3",
    "gconv",
    "libdb-5.3.so",
    "libmvec.so.1",
    "ossl-modules",
    "security",
)
"""The same, in the directory of an architecture's libraries: logins, and what nothing there loads."""

_GROUPS = {
    "root": 0,
    "tty": 5,
    "disk": 6,
    "lp": 7,
    "kmem": 15,
    "dialout": 20,
    "cdrom": 24,
    "tape": 26,
    "audio": 29,
    "utmp": 43,
    "video": 44,
    "users": 100,
    "systemd-journal": 999,
    "input": 997,
    "sgx": 996,
    "clock": 995,
    "kvm": 994,
    "render": 993,
    "nogroup": 65534,
}
"""What udev's rules name; the real system sets devices anew with its own numbers."""


_NO_FILES: Mapping[str, str] = {}


def initrd_tree(
    packages: Tree,
    modules: Tree,
    blobs: Blobs,
    *,
    epoch: int,
    files: Mapping[str, str] = _NO_FILES,
) -> Tree:
    """The tree of an initrd, from files of packages and of a kernel, and texts by path."""

    def text(content: str) -> Node:
        data = content.encode()
        return Node("file", 0o644, mtime=epoch, size=len(data), digest=blobs.add(data))

    if "usr/lib/systemd/systemd" not in packages:
        raise BuildError("cannot make an initrd: its packages hold no systemd")
    groups = "".join(f"{name}:x:{number}:\n" for name, number in _GROUPS.items())
    added = {
        "init": Node("symlink", 0o777, mtime=epoch, target="usr/lib/systemd/systemd"),
        "etc/initrd-release": text("ID=osloom\nNAME=osloom initrd\n"),
        "etc/passwd": text(
            "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n"
        ),
        "etc/group": text(groups),
        "etc/shadow": msgspec.structs.replace(text("root:*:::::::\n"), mode=0o600),
        "root": Node("dir", 0o700, mtime=epoch),
        "sysroot": Node("dir", 0o755, mtime=epoch),
        **{path: text(content) for path, content in files.items()},
    }
    nodes = {
        path: node if 0 < node.mtime <= epoch else msgspec.structs.replace(node, mtime=epoch)
        for path, node in packages.without([*_LEFT_OUT, *_libraries_left_out(packages)])
        .overlaid(modules)
        .overlaid(with_parents(added, mtime=epoch))
        .items()
    }
    return Tree(nodes)


def _libraries_left_out(packages: Tree) -> Iterator[str]:
    for path in packages:
        directory, _, name = path.rpartition("/")
        if name in _LIBRARIES_LEFT_OUT and directory.startswith("usr/lib/"):
            yield path


@action(version=4)
def pack_initrd(job: Job) -> Mapping[str, Digest]:
    """The packages of `tree` and the kernel's `modules` as a compressed cpio archive, or as a
    sequence of such with `segments`."""
    blobs = job.store.blobs
    tree = initrd_tree(
        job.tree(),
        job.tree("modules"),
        blobs,
        epoch=job.parameters["epoch"],
        files=job.parameters.get("files", {}),
    )
    compression = job.parameters["compression"]
    if "segments" in job.parameters and compression != "none":
        packed = _pack_segments(job, tree, compression)
    else:
        packed = compress(job, write_cpio(tree, blobs.chunks), compression)
    return {"file": packed, "tree": job.store.add_tree(tree)}


def _pack_segments(job: Job, tree: Tree, compression: str) -> Digest:
    archives = (write_cpio(part, job.store.blobs.chunks) for part in split_tree(tree))
    segments = (compressed(job, archive, compression) for archive in archives)
    return job.store.blobs.add_chunks(joined(segments))


def plan_kernel(request: Request, tree: Output) -> Step:
    """The kernel of `tree`, which is the image's or one that will have the same."""
    return Step(
        action=extract_kernel,
        title=f"take the kernel of {request.name}",
        group=request.name,
        parameters={
            "epoch": request.epoch,
            "modules": list(request.image.initrd.modules),
            **({"early": early_modules(request.appliance)} if request.appliance else {}),
        },
        inputs={"tree": tree},
    )


def plan_initrd(request: Request, kernel: Step) -> Output:
    assert request.initrd is not None
    compression = request.image.initrd.compression
    own = request.appliance
    # What its devices fetch of a new version is what is not in the one that they have.
    more = {"files": initrd_files(own), "segments": True} if own else {}
    step = Step(
        action=pack_initrd,
        title=f"write the initrd of {request.name}",
        group=request.name,
        parameters={"epoch": request.epoch, "compression": compression, **more},
        inputs={
            "tree": request.initrd,
            "modules": kernel.output(),
            **programs(compression, request.compressors),
        },
    )
    return step.output("file")


def plan(request: Request) -> tuple[Product, ...]:
    initrd = plan_initrd(request, plan_kernel(request, request.tree))
    return (Product(path=f"{request.name}.initrd", output=initrd),)
