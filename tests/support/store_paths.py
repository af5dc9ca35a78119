"""Store paths as the lock has them, and osloom's trees of them as files."""

import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

from osloom.model.closure import StorePath
from osloom.model.nix32 import format_hash
from osloom.model.tree import Tree
from osloom.sources.nix.narinfo import parse_narinfo, to_store_path
from osloom.sources.nix.steps import plan_store_path
from osloom.store.store import Store
from support.nix import NixWorld


def locked(world: NixWorld, *names: str, caches: tuple[str, ...] = ()) -> list[StorePath]:
    """The closure of `names`, as Nix wrote it into a cache."""
    found = []
    for path in world.closure(*names):
        place = world.cache("none") / f"{Path(path).name[:32]}.narinfo"
        info = parse_narinfo(place.read_bytes(), where=str(place))
        found.append(to_store_path(info, caches=caches))
    return found


def unsigned(paths: Iterable[StorePath]) -> list[StorePath]:
    return [msgspec.structs.replace(path, signatures=()) for path in paths]


def trees(store: Store, paths: Iterable[StorePath]) -> dict[str, Tree]:
    """What was fetched, by the paths' names."""
    found = {}
    for path in paths:
        result = store.results.find(plan_store_path(path).step.key)
        if result is not None:
            found[path.name] = store.load_tree(result.outputs["tree"])
    return found


def materialise(store: Store, tree: Tree, root: Path) -> None:
    """Make the files, with the modes and times that they have."""
    for path, node in tree.items():
        place = root / path
        match node.kind:
            case "dir":
                place.mkdir(parents=True)
            case "symlink":
                place.symlink_to(node.target)
            case "file":
                assert node.digest is not None
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(store.blobs.read(node.digest))
                place.chmod(node.mode)
    for path, node in reversed(list(tree.items())):
        os.utime(root / path, (node.mtime, node.mtime), follow_symlinks=False)
        if node.kind == "dir":
            (root / path).chmod(node.mode)


def registration(paths: Iterable[StorePath]) -> bytes:
    """What `nix-store --load-db` reads."""
    lines = []
    for path in paths:
        digest = format_hash(path.nar_hash).partition(":")[2]
        lines += [path.path, digest, str(path.nar_size), "", str(len(path.references))]
        lines += [f"/nix/store/{name}" for name in path.references]
    return "".join(f"{line}\n" for line in lines).encode()
