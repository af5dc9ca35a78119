"""The root of an image that may be written: an overlay in memory over hard links to the store."""

import contextlib
import os
from pathlib import Path

from osloom.base.digest import Digest
from osloom.engine import mounts
from osloom.engine.nearest import Nearest, lay_difference
from osloom.model.tree import Node, Tree
from osloom.store.roots import is_special
from osloom.store.store import Store


def mount_root(
    store: Store,
    digest: Digest,
    scratch: Path,
    *,
    nearest: Nearest | None = None,
    owners: bool = True,
) -> Path:
    """Mount the tree `digest` below `scratch`, which has to be a tmpfs; gives its directory.

    What is written is in `upper` of `scratch`, and so is what makes it of the root `nearest`. Without `owners` everything is the caller's: for a namespace that has one id. The
    caller has mount and user namespaces of its own.
    """
    places = {name: scratch / name for name in ("upper", "work", "merged")}
    for place in places.values():
        place.mkdir(mode=0o755)
    merged = places["merged"]
    tree = store.load_tree(digest)
    lower = store.checkout(nearest.digest if nearest else digest)
    mounts.mount_overlay(merged, lower=lower, upper=places["upper"], work=places["work"])
    if nearest is not None:
        lay_difference(nearest.difference, merged, store.blobs)
    _lay_specials(tree, merged, owners=owners)
    return merged


def _lay_specials(base: Tree, root: Path, *, owners: bool) -> None:
    """Owners, modes and xattrs that hard links to blobs cannot have; they are copied up."""
    for path, node in base.items():
        if path and is_special(node):
            _lay(f"{root}/{path}", node, owners=owners)


def _lay(place: str, node: Node, *, owners: bool) -> None:
    match node.kind:
        case "file" | "dir":
            if owners:
                os.chown(place, node.uid, node.gid)
            os.chmod(place, node.mode)  # noqa: PTH101
            # One id may not give what file capabilities give; root of the namespace has them.
            with contextlib.nullcontext() if owners else contextlib.suppress(OSError):
                for name, value in node.xattrs:
                    os.setxattr(place, name, value)
        case "symlink" | "hardlink":
            if owners:
                os.chown(place, node.uid, node.gid, follow_symlinks=False)
        case "fifo":
            os.mkfifo(place, node.mode)
            if owners:
                os.chown(place, node.uid, node.gid)
        case "char" | "block":
            # Not allowed in a user namespace, and nothing that runs here needs one.
            pass
