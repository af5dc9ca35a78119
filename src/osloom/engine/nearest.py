"""A root that is there already, and what it takes to make another one of it.

A directory of hard links costs a system call for each of ten thousand files, where two versions of an
image differ in some dozens: those are laid over what is there.
"""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import msgspec

from osloom.base.digest import Digest
from osloom.model.tree import Node, Tree, links_last
from osloom.store.blobs import MTIME, Blobs
from osloom.store.store import Store

_PART = 16
"""Of how many nodes one may differ; more are made as soon as links."""
_MOST = 16 << 20
"""Bytes, which are kept in memory."""
_SPECIAL = ("char", "block", "fifo")
"""What no root holds, store.roots."""


class Difference(msgspec.Struct, frozen=True):
    """What makes one root of another."""

    removed: tuple[str, ...]
    """Paths, each before what is below it."""
    added: Tree
    """What is new there, or other than it was."""


class Nearest(msgspec.Struct, frozen=True):
    """A root of which another one is made."""

    digest: Digest
    """Of its tree."""
    difference: Difference


def find_nearest(store: Store, digest: Digest) -> Nearest | None:
    """The root from which little differs; None where there is none, or that of `digest` is there."""
    if store.find_checkout(digest) is not None:
        return None
    tree = store.load_tree(digest)
    found = store.find_alike(tree)
    if found is None:
        return None
    made = difference(store.load_tree(found), tree)
    count = len(made.removed) + len(made.added)
    is_near = count <= len(tree) // _PART and made.added.size <= _MOST
    return Nearest(found, made) if is_near else None


def difference(before: Tree, after: Tree) -> Difference:
    """What `after` has other than `before`, as far as roots show it."""
    old, new = _shown(before), _shown(after)
    changed = {path for path, what in new.items() if what != old.get(path)}
    # A link has the content of what it is linked to.
    changed |= {
        path for path, node in after.items() if node.kind == "hardlink" and node.target in changed
    }
    removed = tuple(path for path in old if path in changed or path not in new)
    return Difference(removed, Tree((path, after[path]) for path in changed))


def lay_difference(made: Difference, root: Path, blobs: Blobs) -> None:
    """Make of the files in `root` those of the other tree, with times as all roots have them."""
    base = os.fspath(root)
    touched = {path.rpartition("/")[0] for path in (*made.removed, *made.added)}
    for path in made.removed:
        _remove(f"{base}/{path}")
    for path, node in links_last(made.added):
        _lay(f"{base}/{path}", base, node, blobs)
    touched |= {path for path, node in made.added.items() if node.kind == "dir"}
    _date(f"{base}/{path}" for path in touched)


def _shown(tree: Tree) -> dict[str, tuple[str, Digest | None, bool, str]]:
    """What of a tree its root shows; the rest is laid over it."""
    return {
        path: (node.kind, node.digest, node.kind == "file" and bool(node.mode & 0o111), node.target)
        for path, node in tree.items()
        if path and node.kind not in _SPECIAL
    }


def _remove(place: str) -> None:
    """What is gone with its directory need not be there any more."""
    if os.path.isdir(place) and not os.path.islink(place):  # noqa: PTH112, PTH114  (hot path)
        shutil.rmtree(place)
    else:
        Path(place).unlink(missing_ok=True)


def _lay(place: str, base: str, node: Node, blobs: Blobs) -> None:
    match node.kind:
        case "dir":
            os.mkdir(place)  # noqa: PTH102
            os.chmod(place, 0o755)  # noqa: PTH101
        case "file":
            assert node.digest is not None
            mode = 0o755 if node.mode & 0o111 else 0o644
            with open(place, "xb") as file:  # noqa: PTH123
                file.write(blobs.read(node.digest))
                os.fchmod(file.fileno(), mode)
            os.utime(place, (MTIME, MTIME))
        case "symlink":
            os.symlink(node.target, place)  # noqa: PTH211
            os.utime(place, (MTIME, MTIME), follow_symlinks=False)
        case "hardlink":
            os.link(f"{base}/{node.target}", place)
        case "char" | "block" | "fifo":
            pass


def _date(places: Iterable[str]) -> None:
    for place in places:
        if os.path.isdir(place):  # noqa: PTH112
            os.utime(place, (MTIME, MTIME))
