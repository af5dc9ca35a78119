"""Deltas: what a run in the sandbox added, changed or removed, read from an overlay's upper part.

https://docs.kernel.org/filesystems/overlayfs.html: a removed name is a character device 0/0, a
directory that hides what was below it carries the xattr `user.overlay.opaque`.
"""

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import msgspec

from osloom.model.tree import Kind, Node, Tree
from osloom.store.blobs import Blobs

_OPAQUE = "user.overlay.opaque"
_KEPT_XATTRS = ("security.capability",)


class Delta(msgspec.Struct, frozen=True):
    changed: Tree
    removed: tuple[str, ...]


Stamp = tuple[int, ...]
"""How a file was when it was laid down: what changes when it is touched in any way.

The clock of change times may stand still for ten milliseconds; what can be seen without is in it.
"""
NOTHING_LAID: Mapping[str, Stamp] = MappingProxyType({})


def stamp_of(info: os.stat_result) -> Stamp:
    when = info.st_ctime_ns, info.st_mtime_ns
    return info.st_ino, *when, info.st_mode, info.st_uid, info.st_gid, info.st_size


def read_stamps(upper: Path) -> dict[str, Stamp]:
    """How all is that lies in `upper`, by path."""
    return {
        path: stamp_of(entry.stat(follow_symlinks=False)) for path, entry in walk(os.fspath(upper))
    }


def read_delta(
    upper: Path,
    base: Tree,
    blobs: Blobs,
    *,
    epoch: int,
    laid: Mapping[str, Stamp] = NOTHING_LAID,
) -> Delta:
    """What `upper` makes of `base`; every time in it is `epoch`.

    What is as `laid` has it was there before, and belongs to `base`.
    """
    changed: dict[str, Node] = {}
    # What lay in the upper part alone leaves no mark when it is removed.
    removed: dict[str, None] = dict.fromkeys(laid)
    inodes: dict[int, str] = {}
    for path, entry in walk(os.fspath(upper)):
        info = entry.stat(follow_symlinks=False)
        if stat.S_ISCHR(info.st_mode) and info.st_rdev == 0:
            removed[path] = None
            continue
        # Of a directory that was made anew: what is there again, though it was below it, too.
        removed.pop(path, None)
        if stat.S_ISDIR(info.st_mode) and _is_opaque(entry.path):
            removed |= dict.fromkeys(name for name in base if name.startswith(f"{path}/"))
        if laid.get(path) == stamp_of(info):
            continue
        node = node_of(entry, info, Found(blobs, epoch))
        if node is not None and node.kind == "file" and info.st_nlink > 1:
            first = inodes.setdefault(info.st_ino, path)
            node = node if first == path else Node("hardlink", node.mode, target=first)
        if node is not None and not is_unchanged(node, base.get(path)):
            changed[path] = node
    return Delta(Tree(changed), tuple(path for path in removed if path in base))


def apply_delta(base: Tree, delta: Delta) -> Tree:
    """`base` with the delta; a file of which only owner or mode changed keeps its time."""
    changed = {path: _dated_as(node, base.get(path)) for path, node in delta.changed.items()}
    return base.without(delta.removed).overlaid(Tree(changed))


def _dated_as(node: Node, before: Node | None) -> Node:
    if before is None or node.kind != "file" or node.digest != before.digest:
        return node
    return msgspec.structs.replace(node, mtime=before.mtime)


def walk(root: str) -> Iterator[tuple[str, "os.DirEntry[str]"]]:
    todo = [("", root)]
    while todo:
        prefix, directory = todo.pop()
        with os.scandir(directory) as entries:
            for entry in sorted(entries, key=lambda one: one.name):
                path = f"{prefix}{entry.name}"
                yield path, entry
                if entry.is_dir(follow_symlinks=False):
                    todo.append((f"{path}/", entry.path))


def _is_opaque(path: str) -> bool:
    try:
        return os.getxattr(path, _OPAQUE, follow_symlinks=False) == b"y"
    except OSError:
        return False


def is_unchanged(node: Node, before: Node | None) -> bool:
    return before is not None and node == msgspec.structs.replace(before, mtime=node.mtime)


_KINDS: dict[int, Kind] = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "dir",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFCHR: "char",
    stat.S_IFBLK: "block",
}


class Found(msgspec.Struct, frozen=True):
    """Where contents that were found go, and the time that all of them get."""

    blobs: Blobs
    epoch: int


def node_of(entry: "os.DirEntry[str]", info: os.stat_result, found: Found) -> Node | None:
    """None for a socket, which means nothing without the process that made it."""
    kind = _KINDS.get(stat.S_IFMT(info.st_mode))
    if kind is None:
        return None
    node = Node(
        kind,
        0o777 if kind == "symlink" else stat.S_IMODE(info.st_mode),
        uid=info.st_uid,
        gid=info.st_gid,
        mtime=found.epoch,
        target=os.readlink(entry.path) if kind == "symlink" else "",  # noqa: PTH115
        device=(os.major(info.st_rdev), os.minor(info.st_rdev)),
    )
    if kind != "file":
        return node
    with open(entry.path, "rb") as file:  # noqa: PTH123
        data = file.read()
    return msgspec.structs.replace(
        node,
        size=len(data),
        digest=found.blobs.add(data, executable=bool(node.mode & 0o111)),
        xattrs=_xattrs(entry.path),
    )


def _xattrs(path: str) -> tuple[tuple[str, bytes], ...]:
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError:
        return ()
    return tuple(
        (name, _plain_capability(os.getxattr(path, name, follow_symlinks=False)))
        for name in sorted(names)
        if name in _KEPT_XATTRS
    )


def _plain_capability(value: bytes) -> bytes:
    """File capabilities without the root id that a user namespace adds, capabilities(7).

    Version 3 is version 2 with that id at the end; inside an image root is root.
    """
    if value[3] != 3:
        return value
    return value[:3] + b"\x02" + value[4:20]
