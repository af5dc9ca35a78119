"""Root file systems from a tree, without a directory that root owns.

mkfs reads a tar stream; what has no such mkfs is written by osloom.
"""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from osloom.assemble.btrfs import MINIMUM, ROOM, write_btrfs
from osloom.assemble.compression import frame_compressor
from osloom.assemble.place import Place
from osloom.base.digest import derive_uuid
from osloom.base.errors import BuildError
from osloom.base.files import copy_into
from osloom.engine.step import Job, Output
from osloom.model.size import parse_size
from osloom.model.tar import write_tar
from osloom.model.tree import Node, Tree

_MIB = 1 << 20
_BLOCK = 4096
_ZSTD_LEVEL = 3


def needed_size(tree: Tree) -> int:
    """Bytes an ext4 file system needs for the tree, without room to grow."""
    blocks = sum(-(-node.size // _BLOCK) for node in tree.values() if node.kind == "file")
    others = sum(1 for node in tree.values() if node.kind in ("dir", "symlink"))
    return (blocks + others) * _BLOCK + len(tree) * 256


def default_size(tree: Tree) -> int:
    """What the content needs and 20 %, with a journal, in whole MiB."""
    return -(-(needed_size(tree) * 6 // 5 + 48 * _MIB) // _MIB) * _MIB


def _ext4_size(job: Job, tree: Tree) -> int:
    size = job.parameters["size"]
    whole = parse_size(size) if size else default_size(tree)
    if whole < needed_size(tree):
        raise BuildError(
            f"cannot fit the root file system into {whole // _MIB} MiB: "
            f"its content needs {needed_size(tree) // _MIB + 1} MiB",
            hint="raise `size` in the table `disk`, or leave it out",
        )
    return whole


def _ext4(job: Job, tree: Tree, place: Place) -> None:
    """mke2fs(8): `-d -` reads the archive; ids, hash seed and times are fixed."""
    identity = _identity(tree)
    command = ["mke2fs", "-q", "-t", "ext4", "-d", "-", "-L", "root", "-U", identity, "-m", "1"]
    command += ["-b", str(_BLOCK), "-I", "256", "-N", str(max(len(tree) * 2, place.size >> 14))]
    command += ["-E", f"offset={place.offset},hash_seed={identity},nodiscard,root_owner=0:0"]
    command += ["-O", "^orphan_file"]
    job.tools().run(
        [*command, f"/mnt/work/{place.path.name}", f"{place.size >> 10}k"],
        work=job.work,
        stdin=write_tar(tree, job.store.blobs.chunks),
        environment=_clock(job),
    )


def _make_erofs(job: Job, tree: Tree) -> int:
    return make_erofs(job, tree, "root", job.parameters["compression"])


def make_erofs(
    job: Job, tree: Tree, name: str, compression: str | None, options: Sequence[str] = ()
) -> int:
    """The tree as the file `name` of the working directory, mkfs.erofs(1); gives its size in bytes."""
    command = ["mkfs.erofs", "--quiet", "--tar=f", f"-T{job.parameters['epoch']}"]
    command += ["-U", _identity(tree)]
    if compression:
        command += [f"-z{compression}", *options]
    # Without it everybody could write to the root directory.
    top = Node("dir", 0o755, mtime=job.parameters["epoch"])
    job.tools().run(
        [*command, f"/mnt/work/{name}"],
        work=job.work,
        stdin=write_tar(Tree({".": top, **tree}), job.store.blobs.chunks),
        environment=_clock(job),
    )
    return (job.work / name).stat().st_size


def _copy_made(job: Job, _tree: Tree, place: Place) -> None:
    copy_into(job.work / "root", place.path, place.offset)


def _btrfs_size(job: Job, tree: Tree) -> int:
    size = job.parameters["size"]
    return parse_size(size) if size else max(default_size(tree) + len(tree) * ROOM, MINIMUM)


def _btrfs(job: Job, tree: Tree, place: Place) -> None:
    identity = derive_uuid("filesystem", "root", tree.digest)
    setting = job.parameters["compression"]
    if not setting:
        write_btrfs(job, tree, place, identity)
        return
    # `zstd`, `zstd,9` or `zstd,level=9` (definition.compression).
    _, _, level = setting.partition(",")
    number = int(level.removeprefix("level=") or _ZSTD_LEVEL)
    write_btrfs(job, tree, place, identity, frame_compressor(job, number, tools="compressors"))


def compressors_of(
    filesystem: str, compression: str | None, compressors: Output
) -> Mapping[str, Output]:
    """The inputs that a step needs beside its own for such a file system."""
    return {"compressors": compressors} if filesystem == "btrfs" and compression else {}


class Maker(msgspec.Struct, frozen=True):
    """How a kind of root file system is made, in two parts."""

    size: Callable[[Job, Tree], int]
    """Bytes it takes; kinds that do not know beforehand make it now, as `root`."""
    write: Callable[[Job, Tree, Place], None]


MAKERS: Mapping[str, Maker] = {
    "ext4": Maker(_ext4_size, _ext4),
    "erofs": Maker(_make_erofs, _copy_made),
    "btrfs": Maker(_btrfs_size, _btrfs),
}


def _identity(tree: Tree) -> str:
    return str(derive_uuid("filesystem", "root", tree.digest))


def _clock(job: Job) -> dict[str, str]:
    epoch = str(job.parameters["epoch"])
    return {"SOURCE_DATE_EPOCH": epoch, "E2FSPROGS_FAKE_TIME": epoch}
