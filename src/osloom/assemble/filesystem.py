"""Root file systems from a tree, without a directory that root owns.

mkfs reads a tar stream; what has no such mkfs is written by osloom.
"""

from collections.abc import Callable, Mapping

from osloom.assemble.btrfs import MINIMUM, ROOM, write_btrfs
from osloom.base.digest import Digest, derive_uuid
from osloom.base.errors import BuildError
from osloom.engine.step import Job, action
from osloom.model.tar import write_tar
from osloom.model.tree import Tree

_MIB = 1 << 20
_BLOCK = 4096
_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def parse_size(text: str) -> int:
    """Bytes of `512M`, `4G`, `1000`."""
    return int(text[:-1]) * _UNITS[text[-1]] if text[-1] in _UNITS else int(text)


def needed_size(tree: Tree) -> int:
    """Bytes an ext4 file system needs for the tree, without room to grow."""
    blocks = sum(-(-node.size // _BLOCK) for node in tree.values() if node.kind == "file")
    others = sum(1 for node in tree.values() if node.kind in ("dir", "symlink"))
    return (blocks + others) * _BLOCK + len(tree) * 256


def default_size(tree: Tree) -> int:
    """What the content needs and 20 %, with a journal, in whole MiB."""
    return -(-(needed_size(tree) * 6 // 5 + 48 * _MIB) // _MIB) * _MIB


def _ext4(job: Job, tree: Tree, size: int | None) -> None:
    """mke2fs(8): `-d -` reads the archive; ids, hash seed and times are fixed."""
    identity = str(derive_uuid("filesystem", "root", tree.digest))
    whole = size or default_size(tree)
    if whole < needed_size(tree):
        raise BuildError(
            f"cannot fit the root file system into {whole // _MIB} MiB: "
            f"its content needs {needed_size(tree) // _MIB + 1} MiB",
            hint="raise `size` in the table `disk`, or leave it out",
        )
    command = ["mke2fs", "-q", "-t", "ext4", "-d", "-", "-L", "root", "-U", identity, "-m", "1"]
    command += ["-b", str(_BLOCK), "-I", "256", "-N", str(max(len(tree) * 2, whole >> 14))]
    command += ["-E", f"hash_seed={identity},lazy_itable_init=1,nodiscard,root_owner=0:0"]
    command += ["-O", "^orphan_file"]
    job.tools().run(
        [*command, "/mnt/work/root", f"{whole >> 10}k"],
        work=job.work,
        stdin=write_tar(tree, job.store.blobs.chunks),
        environment=_clock(job),
    )


def _erofs(job: Job, tree: Tree, _size: int | None) -> None:
    """mkfs.erofs(1) with `--tar=f`."""
    identity = str(derive_uuid("filesystem", "root", tree.digest))
    command = ["mkfs.erofs", "--quiet", "--tar=f", f"-T{job.parameters['epoch']}", "-U", identity]
    if job.parameters["compression"]:
        command += [f"-z{job.parameters['compression']}"]
    archive = job.work / "root.tar"
    with archive.open("wb") as file:
        for chunk in write_tar(tree, job.store.blobs.chunks):
            file.write(chunk)
    job.tools().run(
        [*command, "/mnt/work/root", "/mnt/work/root.tar"], work=job.work, environment=_clock(job)
    )
    archive.unlink()


def _btrfs(job: Job, tree: Tree, size: int | None) -> None:
    identity = derive_uuid("filesystem", "root", tree.digest)
    whole = size or max(default_size(tree) + len(tree) * ROOM, MINIMUM)
    write_btrfs(job, tree, whole, job.work / "root", identity)


_MAKERS: Mapping[str, Callable[[Job, Tree, int | None], None]] = {
    "ext4": _ext4,
    "erofs": _erofs,
    "btrfs": _btrfs,
}


def _clock(job: Job) -> dict[str, str]:
    epoch = str(job.parameters["epoch"])
    return {"SOURCE_DATE_EPOCH": epoch, "E2FSPROGS_FAKE_TIME": epoch}


@action(version=1)
def make_filesystem(job: Job) -> Mapping[str, Digest]:
    """The tree `tree` as a file system; `filesystem` and `size` say which and how large."""
    size = job.parameters["size"]
    maker = _MAKERS[job.parameters["filesystem"]]
    maker(job, job.tree(), parse_size(size) if size else None)
    return {"file": job.store.blobs.add_file(job.work / "root")}
