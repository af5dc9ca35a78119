"""OCI layers follow packages.

A path belongs to a package's layer when the image holds the very node that the package ships; so a
package's layer is the same in every image. What the scripts and the definition made is in two
layers on top, the definition's own files last: they change most often.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

from osloom.assemble.compression import compressed
from osloom.base.digest import Digest
from osloom.engine.step import Job, action
from osloom.model.tar import write_tar
from osloom.model.tree import Node, Tree, parents

MEDIA_TYPES = {
    "zstd": "application/vnd.oci.image.layer.v1.tar+zstd",
    "gzip": "application/vnd.oci.image.layer.v1.tar+gzip",
}
_ON_TOP = 2


def group(names: Sequence[str], limit: int) -> list[int]:
    """For each package the number of its layer, below `limit` less the two on top.

    A package alone in its layer as long as there are enough; then by a digest of its name, so that
    one package more or less moves no other.
    """
    count = max(limit - _ON_TOP, 1)
    if len(names) <= count:
        return list(range(len(names)))
    return [int(hashlib.sha256(name.encode()).hexdigest(), 16) % count for name in names]


def split(
    tree: Tree, packages: Sequence[Tree], groups: Sequence[int], own: Iterable[str]
) -> list[Tree]:
    """The tree as layers, lowest first: one for each group, the configured rest, own files."""
    count = max(groups, default=-1) + 1
    layers: list[dict[str, Node]] = [{} for _ in range(count + _ON_TOP)]
    places = _places(tree, packages, groups)
    prefixes = tuple(path.strip("/") for path in own)
    for path, node in tree.items():
        # A hard link has to be in one layer with the file it repeats.
        first = node.target if node.kind == "hardlink" else path
        number = places.get(first, count)
        if number == count and _is_below(first, prefixes):
            number = count + 1
        layers[number][path] = node
    return [_with_parents(tree, nodes) for nodes in layers]


def _places(tree: Tree, packages: Sequence[Tree], groups: Sequence[int]) -> dict[str, int]:
    """The group of each path that is as its package ships it; directories go where needed."""
    places: dict[str, int] = {}
    for package, number in zip(packages, groups, strict=True):
        for path, node in package.items():
            place = path if path in tree else tree.resolve(path)
            there = tree.get(place)
            if there == node:
                places.setdefault(place, number)
    return places


def _is_below(path: str, prefixes: tuple[str, ...]) -> bool:
    return any(path == prefix or path.startswith(f"{prefix}/") for prefix in prefixes)


def _with_parents(tree: Tree, nodes: Mapping[str, Node]) -> Tree:
    full = dict(nodes)
    for path in nodes:
        for parent in parents(path):
            full[parent] = tree[parent]
    return Tree(full)


@action(version=1)
def split_layers(job: Job) -> Mapping[str, Digest]:
    """The tree `tree` split by `packages`: `layer-0`, `layer-1` … as trees."""
    layers = split(
        job.tree(), job.trees("packages"), job.parameters["groups"], job.parameters["own"]
    )
    return {f"layer-{number}": job.store.add_tree(layer) for number, layer in enumerate(layers)}


@action(version=1)
def write_layer(job: Job) -> Mapping[str, Digest]:
    """The tree `tree` as a layer blob, and its descriptor and diff ID as `info`."""
    blobs = job.store.blobs
    diff = hashlib.sha256()

    def measured() -> Iterator[bytes]:
        for chunk in write_tar(job.tree(), blobs.chunks):
            diff.update(chunk)
            yield chunk

    method = job.parameters["compression"]
    digest = blobs.add_chunks(compressed(measured(), method))
    info = {
        "mediaType": MEDIA_TYPES[method],
        "digest": digest,
        "size": blobs.path(digest).stat().st_size,
        "diffId": f"sha256:{diff.hexdigest()}",
        "paths": len(job.tree()),
    }
    return {"file": digest, "info": blobs.add(json.dumps(info, sort_keys=True).encode())}
