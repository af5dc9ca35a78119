"""A root that may be written, where ownership is only pretended: for users with one id.

fakeroot, from the image's own suite, answers for owners and devices and writes down at the end
what it was told; fakeroot(1), faked(1). Files are known by device and inode, which an overlay would
change under it: so the root is a copy, and what changed in it is what its change time says.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from osloom.engine.delta import Delta, Found, Stamp, is_unchanged, node_of, stamp_of, walk
from osloom.model.tree import Node, Tree, links_last
from osloom.store.blobs import MTIME, Blobs
from osloom.store.roots import is_special

MOUNT = "/run/osloom-fakeroot"
STATE = "/run/osloom-state"

Inode = tuple[int, int]
"""Device and number."""


class Owner(msgspec.Struct, frozen=True):
    mode: int
    uid: int
    gid: int


SCRIPT = f"""#!/bin/sh
started=$({MOUNT}/usr/bin/faked-sysv --load --save-file {STATE}/out <{STATE}/in)
pid=${{started##*:}}
FAKEROOTKEY=${{started%%:*}}
FAKEROOTDONTTRYCHOWN=1
export FAKEROOTKEY FAKEROOTDONTTRYCHOWN
LD_PRELOAD=$(echo {MOUNT}/usr/lib/*/libfakeroot/libfakeroot-sysv.so)${{LD_PRELOAD:+:$LD_PRELOAD}} "$@"
status=$?
kill "$pid"
while kill -0 "$pid" 2>/dev/null; do
    sleep 0.02
done
exit $status
"""
"""Runs its arguments under fakeroot."""


def lay_down(tree: Tree, root: Path, blobs: Blobs) -> dict[str, Stamp]:
    """Fill `root` with copies of the tree's files; gives how each is now."""
    base = os.fspath(root)
    for path, node in links_last(tree):
        _lay(f"{base}/{path}", base, node, blobs)
    return {
        path: stamp_of(info)
        for path in tree
        if path and (info := _stat(f"{base}/{path}")) is not None
    }


def _stat(place: str) -> os.stat_result | None:
    try:
        return os.lstat(place)
    except FileNotFoundError:
        return None


def _lay(place: str, base: str, node: Node, blobs: Blobs) -> None:
    match node.kind:
        case "dir":
            if place != f"{base}/":
                os.mkdir(place)  # noqa: PTH102
            os.chmod(place, node.mode | 0o700)  # noqa: PTH101
        case "file":
            assert node.digest is not None
            with open(place, "wb") as file:  # noqa: PTH123
                file.write(blobs.read(node.digest))
            os.chmod(place, node.mode)  # noqa: PTH101
            os.utime(place, (MTIME, MTIME))
        case "symlink":
            os.symlink(node.target, place)  # noqa: PTH211
        case "hardlink":
            os.link(f"{base}/{node.target}", place)
        case "fifo":
            os.mkfifo(place, node.mode)
        case "char" | "block":
            pass


def initial_state(tree: Tree, root: Path) -> str:
    """What fakeroot has to be told: the owners of what root does not own."""
    lines = []
    for path, node in tree.items():
        info = _stat(f"{root}/{path}") if path and is_special(node) else None
        if info is not None:
            lines.append(
                f"dev={info.st_dev:x},ino={info.st_ino},mode={info.st_mode:o},"
                f"uid={node.uid},gid={node.gid},nlink={info.st_nlink},rdev=0\n"
            )
    return "".join(lines)


def parse_state(text: str) -> dict[Inode, Owner]:
    """faked's save file: one file a line, as `key=value` with numbers of several bases."""
    found = {}
    for line in text.splitlines():
        fields = dict(part.split("=", 1) for part in line.split(",") if "=" in part)
        if {"dev", "ino", "mode", "uid", "gid"} <= fields.keys():
            inode = (int(fields["dev"], 16), int(fields["ino"]))
            owner = Owner(int(fields["mode"], 8) & 0o7777, int(fields["uid"]), int(fields["gid"]))
            found[inode] = owner
    return found


def read_changes(
    root: Path,
    base: Tree,
    before: Mapping[str, Stamp],
    owners: Mapping[Inode, Owner],
    found: Found,
) -> Delta:
    """What was made of `base` in `root`."""
    changed: dict[str, Node] = {}
    seen: set[str] = set()
    inodes: dict[int, str] = {}
    for path, entry in walk(os.fspath(root)):
        seen.add(path)
        info = entry.stat(follow_symlinks=False)
        owner = owners.get((info.st_dev, info.st_ino))
        stamp = before.get(path)
        if stamp == stamp_of(info) and _owned_as(base[path], owner):
            continue
        node = node_of(entry, info, found)
        if node is None:
            continue
        if node.kind == "file" and info.st_nlink > 1:
            first = inodes.setdefault(info.st_ino, path)
            if first != path:
                node = Node("hardlink", node.mode, target=first)
        node = _with_owner(node, owner)
        if not is_unchanged(node, base.get(path)):
            changed[path] = node
    kept_out = {path for path, node in base.items() if node.kind in ("char", "block")}
    removed = tuple(path for path in base if path and path not in seen | kept_out)
    return Delta(Tree(changed), removed)


def _owned_as(node: Node, owner: Owner | None) -> bool:
    return (owner.uid, owner.gid) == (node.uid, node.gid) if owner else not (node.uid or node.gid)


def _with_owner(node: Node, owner: Owner | None) -> Node:
    if owner is None or node.kind == "hardlink":
        uid, gid, mode = 0, 0, node.mode
    else:
        uid, gid, mode = owner.uid, owner.gid, owner.mode
    mode = node.mode if node.kind in ("symlink", "hardlink") else mode
    return msgspec.structs.replace(node, uid=uid, gid=gid, mode=mode)
