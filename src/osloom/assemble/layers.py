"""OCI layers follow packages.

A path belongs to a package's layer when the image holds the very node that the package ships.
Directories are in such a layer as the package has them, not as the image does, whose times follow
the lock and whatever else is installed: so a package's layer is the same in every image that has
the package's files. What differs is put right above. What the scripts and the definition made is
in two layers on top, the definition's own files last: they change most often.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from osloom.assemble.compression import compress
from osloom.base.digest import Digest
from osloom.engine.step import Job, action
from osloom.model.tar import write_tar
from osloom.model.tree import Node, Tree, parents

MEDIA_TYPES = {
    "zstd": "application/vnd.oci.image.layer.v1.tar+zstd",
    "gzip": "application/vnd.oci.image.layer.v1.tar+gzip",
    "none": "application/vnd.oci.image.layer.v1.tar",
}
ON_TOP = 2
"""Layers above those of packages."""
_PLAIN = Node("dir", 0o755)


def group(names: Sequence[str], limit: int) -> list[int]:
    """For each package the number of its layer, below `limit` less those on top.

    A package alone in its layer as long as there are enough; then by a digest of its name, so that
    one package more or less moves no other.
    """
    count = max(limit - ON_TOP, 1)
    if len(names) <= count:
        return list(range(len(names)))
    return [int(hashlib.sha256(name.encode()).hexdigest(), 16) % count for name in names]


def split(
    tree: Tree, packages: Sequence[Tree], groups: Sequence[int], own: Iterable[str]
) -> list[Tree]:
    """The tree as layers, lowest first: one for each group, the configured rest, own files."""
    count = max(groups, default=-1) + 1
    canonical = _Canonical(tree)
    lower = [
        _package_layer(tree, members, canonical) for members in _members(packages, groups, count)
    ]
    places = {path: number for number, layer in enumerate(lower) for path in layer}
    left = {path: node for path, node in tree.items() if path not in places}
    # A hard link has to be in one layer with the file it repeats.
    for path, node in list(left.items()):
        number = places.get(node.target) if node.kind == "hardlink" else None
        if number is not None:
            lower[number][path] = left.pop(path)
    prefixes = tuple(canonical(path.strip("/")) for path in own)
    top = {path: node for path, node in left.items() if _is_below(_first(path, node), prefixes)}
    rest = {path: node for path, node in left.items() if path not in top}
    layers = [with_parents_of(nodes, {}) for nodes in lower]
    return [
        *layers,
        with_parents_of(rest | _put_right(tree, layers), tree),
        with_parents_of(top, tree),
    ]


class _Canonical:
    """Where a package's path is in the image: links on its way are followed, its last is not."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._directories: dict[str, str] = {"": ""}

    def __call__(self, path: str) -> str:
        parent, _, name = path.rpartition("/")
        found = self._directories.get(parent)
        if found is None:
            found = self._directories[parent] = self._tree.resolve(parent)
        return f"{found}/{name}" if found else name


def _members(packages: Sequence[Tree], groups: Sequence[int], count: int) -> list[list[Tree]]:
    members: list[list[Tree]] = [[] for _ in range(count)]
    for package, number in zip(packages, groups, strict=True):
        members[number].append(package)
    return members


def _package_layer(tree: Tree, packages: Iterable[Tree], canonical: _Canonical) -> dict[str, Node]:
    """What the image has as these packages ship it; empty when that is nothing but directories."""
    nodes: dict[str, Node] = {}
    for package in packages:
        for path, node in package.items():
            place = canonical(path)
            there = tree.get(place)
            if there is None or place in nodes:
                continue
            if node.kind == "hardlink":
                node = msgspec.structs.replace(node, target=canonical(node.target))  # noqa: PLW2901
            if node.kind == "dir" and there.kind == "dir":
                nodes[place] = node
            elif _is_as_shipped(node, there):
                nodes[place] = there
    # A link whose file was changed since goes where that file is.
    nodes = {
        path: node
        for path, node in nodes.items()
        if node.kind != "hardlink" or node.target in nodes
    }
    return nodes if any(node.kind != "dir" for node in nodes.values()) else {}


def _is_as_shipped(node: Node, there: Node) -> bool:
    """Whether `there` is `node`, with a time that may have been clamped to the epoch."""
    return there == node or (
        0 < there.mtime < node.mtime and there == msgspec.structs.replace(node, mtime=there.mtime)
    )


def _put_right(tree: Tree, layers: Iterable[Tree]) -> dict[str, Node]:
    """The image's directories that are something else once `layers` are applied."""
    applied = {path: node for layer in layers for path, node in layer.items() if node.kind == "dir"}
    return {path: tree[path] for path, node in applied.items() if tree[path] != node}


def _first(path: str, node: Node) -> str:
    return node.target if node.kind == "hardlink" else path


def _is_below(path: str, prefixes: tuple[str, ...]) -> bool:
    return any(path == prefix or path.startswith(f"{prefix}/") for prefix in prefixes)


def with_parents_of(nodes: Mapping[str, Node], tree: Mapping[str, Node]) -> Tree:
    """`nodes` and the directories they are in, of `tree` or else plain ones."""
    full = dict(nodes)
    for path in nodes:
        for parent in parents(path):
            full.setdefault(parent, tree.get(parent) or _PLAIN)
    return Tree(full)


@action(version=2, light=True)
def split_layers(job: Job) -> Mapping[str, Digest]:
    """The tree `tree` split by `packages`: `layer-0`, `layer-1` … as trees."""
    layers = split(
        job.tree(), job.trees("packages"), job.parameters["groups"], job.parameters["own"]
    )
    return {f"layer-{number}": job.store.add_tree(layer) for number, layer in enumerate(layers)}


@action(version=2)
def write_layer(job: Job) -> Mapping[str, Digest]:
    """The tree `tree` as a layer blob, and its descriptor and diff ID as `info`."""
    blobs = job.store.blobs
    diff = hashlib.sha256()

    def measured() -> Iterator[bytes]:
        for chunk in write_tar(job.tree(), blobs.chunks):
            diff.update(chunk)
            yield chunk

    method = job.parameters["compression"]
    digest = compress(job, measured(), method)
    info = {
        "mediaType": MEDIA_TYPES[method],
        "digest": digest,
        "size": blobs.path(digest).stat().st_size,
        "diffId": f"sha256:{diff.hexdigest()}",
        "paths": len(job.tree()),
    }
    return {"file": digest, "info": blobs.add(json.dumps(info, sort_keys=True).encode())}
