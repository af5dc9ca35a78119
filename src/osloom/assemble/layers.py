"""OCI layers follow packages.

A path belongs to a package's layer when the image holds the content that the package ships. What
dpkg notes about the package, and what scripts generate from its files, is in that layer too.
Directories are in such a layer as the package has them, not as the image does, whose times follow
the lock and whatever else is installed: so a package's layer is the same in every image that has
the package's files and is configured alike. What differs is put right above. What else the scripts
and the definition made is in two layers on top, the definition's own files last: they change most
often. Which packages share a layer says assemble.grouping.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import msgspec

from osloom.assemble.compression import compress
from osloom.base.digest import Digest, from_hex
from osloom.engine.step import Job, action
from osloom.model.origin import origin, owner
from osloom.model.tar import write_tar
from osloom.model.tree import Node, Tree, directories, links_last

MEDIA_TYPES = {
    "zstd": "application/vnd.oci.image.layer.v1.tar+zstd",
    "gzip": "application/vnd.oci.image.layer.v1.tar+gzip",
    "none": "application/vnd.oci.image.layer.v1.tar",
}
ON_TOP = 2
"""Layers above those of packages."""
_PLAIN = Node("dir", 0o755)


class Shipped(msgspec.Struct, frozen=True):
    """One package of the image."""

    name: str
    tree: Tree
    group: int
    """The number of its layer."""


def split(tree: Tree, packages: Sequence[Shipped], own: Iterable[str]) -> list[Tree]:
    """The tree as layers, lowest first: one for each group, the configured rest, own files."""
    canonical = _Canonical(tree)
    lower = [_packaged(tree, members, canonical) for members in _members(packages)]
    prefixes = tuple(canonical(path.strip("/")) for path in own)
    places = {path: number for number, layer in enumerate(lower) for path in layer}
    left = {path: node for path, node in tree.items() if path not in places}
    top = {path: node for path, node in left.items() if _is_below(_first(path, node), prefixes)}
    groups = {package.name: package.group for package in packages}
    rest: dict[str, Node] = {}
    # A hard link has to be in one layer with the file it repeats.
    for path, node in links_last(Tree({path: left[path] for path in left if path not in top})):
        number = _home(path, node, places, groups)
        if number is None:
            rest[path] = node
        else:
            lower[number][path] = node
            places[path] = number
    layers = [with_parents_of(nodes, {}) for nodes in lower]
    return [
        *layers,
        with_parents_of(rest | _put_right(tree, layers), tree),
        with_parents_of(top, tree),
    ]


def _home(
    path: str, node: Node, places: Mapping[str, int], groups: Mapping[str, int]
) -> int | None:
    """The layer of the package that `path` comes from, though the package does not ship it."""
    if node.kind == "hardlink":
        return places.get(node.target)
    name, made_from = owner(path), origin(path)
    return groups.get(name) if name else places.get(made_from) if made_from else None


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


def _members(packages: Sequence[Shipped]) -> list[list[Tree]]:
    count = 1 + max((package.group for package in packages), default=-1)
    members: list[list[Tree]] = [[] for _ in range(count)]
    for package in packages:
        members[package.group].append(package.tree)
    return members


def _packaged(tree: Tree, packages: Iterable[Tree], canonical: _Canonical) -> dict[str, Node]:
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
    """Whether `there` is `node`, with a time that may have been clamped to the epoch.

    A script may have changed the owner, the mode or the capabilities of a file.
    """
    if node.kind == "file" == there.kind and node.digest == there.digest:
        return there.mtime == node.mtime or 0 < there.mtime < node.mtime
    return there == node or (
        0 < there.mtime < node.mtime and there == msgspec.structs.replace(node, mtime=there.mtime)
    )


def _put_right(tree: Tree, layers: Iterable[Tree]) -> dict[str, Node]:
    """The image's directories that are something else once `layers` are applied."""
    applied = {path: node for layer in layers for path, node in layer.items() if node.kind == "dir"}
    return {path: tree[path] for path, node in applied.items() if tree[path] != node}


def without_store_paths(tree: Tree, names: Collection[str]) -> Tree:
    """`tree` without the paths of a Nix store of these base names."""
    if not names:
        return tree
    store, gone = "nix/store/", frozenset(names)
    return tree.where(
        lambda path, _: not path.startswith(store) or path.split("/", 3)[2] not in gone
    )


def _first(path: str, node: Node) -> str:
    return node.target if node.kind == "hardlink" else path


def _is_below(path: str, prefixes: tuple[str, ...]) -> bool:
    return any(path == prefix or path.startswith(f"{prefix}/") for prefix in prefixes)


def title_of(names: Sequence[str]) -> str:
    """What a layer of these packages is called in the image's history."""
    few = ", ".join(names[:6])
    return few if len(names) <= 6 else f"{few} and {len(names) - 6} more"


def with_parents_of(nodes: Mapping[str, Node], tree: Mapping[str, Node]) -> Tree:
    """`nodes` and the directories they are in, of `tree` or else plain ones."""
    above = {path: tree.get(path) or _PLAIN for path in directories(nodes)}
    return Tree(above | dict(nodes))


@action(version=3, light=True)
def split_layers(job: Job) -> Mapping[str, Digest]:
    """The tree `tree` split by `packages`: `layer-0`, `layer-1` … as trees.

    The store paths `closure` are left out: they have layers of their own.
    """
    parameters = job.parameters
    packages = map(Shipped, parameters["names"], job.trees("packages"), parameters["groups"])
    tree = without_store_paths(job.tree(), parameters.get("closure", ()))
    layers = split(tree, list(packages), parameters["own"])
    return {f"layer-{number}": job.store.add_tree(layer) for number, layer in enumerate(layers)}


_LIGHT = 1 << 20
"""Bytes."""


def is_small(*trees: Tree) -> bool:
    """Whether a layer of these is written faster than a process starts for it."""
    return sum(tree.size for tree in trees) < _LIGHT


@action(version=2, light=lambda job: is_small(job.tree()))
def write_layer(job: Job) -> Mapping[str, Digest]:
    """The tree `tree` as a layer blob, and its descriptor and diff ID as `info`."""
    return write_tree(job, job.tree())


def write_tree(job: Job, tree: Tree) -> Mapping[str, Digest]:
    """`tree` as a layer blob, compressed as `compression` says, and `info`."""
    blobs = job.store.blobs
    chunks = write_tar(tree, blobs.chunks)
    method = job.parameters["compression"]
    if method == "none":
        digest = diff_id = compress(job, chunks, method)
    else:
        diff = hashlib.sha256()
        digest = compress(job, _measured(chunks, diff), method)
        diff_id = from_hex(diff.hexdigest())
    info = {
        "mediaType": MEDIA_TYPES[method],
        "digest": digest,
        "size": blobs.path(digest).stat().st_size,
        "diffId": diff_id,
        "paths": len(tree),
    }
    return {"file": digest, "info": blobs.add(json.dumps(info, sort_keys=True).encode())}


def _measured(chunks: Iterable[bytes], diff: "hashlib._Hash") -> Iterator[bytes]:
    for chunk in chunks:
        diff.update(chunk)
        yield chunk
