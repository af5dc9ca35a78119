"""One image for several architectures: their layouts as one, behind an image index.

https://github.com/opencontainers/image-spec: image-index.md, image-layout.md
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from osloom.assemble.oci_layout import INDEX, MANIFEST, Layout, canonical_json
from osloom.assemble.request import Product
from osloom.base.digest import Digest
from osloom.engine.step import Job, Step, action
from osloom.model.tree import Tree
from osloom.store.store import Store


def plan_index(name: str, layouts: Sequence[Product]) -> Product:
    """The layouts of an image, one for each architecture, as one."""
    step = Step(
        action=join_layouts,
        title=f"write {name}.oci",
        group=name,
        inputs={"layouts": tuple(one.output for one in layouts)},
    )
    return Product(path=f"{name}.oci", output=step.output(), kind="directory")


@action(version=1, light=True)
def join_layouts(job: Job) -> Mapping[str, Digest]:
    """The OCI layouts `layouts`, of one manifest each, as the tree of one with an index."""
    trees = job.trees("layouts")
    entries = [_entry(job.store, tree) for tree in trees]
    made = Layout(job.store.blobs)
    for tree in trees:
        made.nodes.update((path, node) for path, node in tree.items() if path.startswith("blobs/"))
    manifests = [{key: one[key] for key in one if key != "annotations"} for one in entries]
    assert all(one["mediaType"] == MANIFEST for one in manifests)
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}
    descriptor = made.add(canonical_json(index), INDEX)
    job.facts["digest"] = descriptor["digest"]
    # The tag is the first's: packages of two architectures are now and then of two builds.
    entry = {**descriptor, "annotations": entries[0]["annotations"]}
    return {"tree": job.store.add_tree(made.finished(entry))}


def _entry(store: Store, tree: Tree) -> dict[str, Any]:
    digest = tree["index.json"].digest
    assert digest is not None
    (entry,) = json.loads(store.blobs.read(digest))["manifests"]
    found: dict[str, Any] = entry
    return found
