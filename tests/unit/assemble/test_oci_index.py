"""An image for several architectures: one index, and every blob once."""

import json

from msgspec.structs import replace

from osloom.assemble import oci
from osloom.assemble.oci_index import plan_index
from osloom.assemble.oci_layout import read_manifest
from osloom.model.definition import Image, Oci
from osloom.model.tree import Node, with_parents
from support.workbench import Workbench


def test_the_layouts_of_two_architectures_become_one(workbench: Workbench) -> None:
    blobs = workbench.store.blobs
    products = []
    for architecture in ("amd64", "arm64"):
        program = architecture.encode()
        shared = Node("file", 0o644, size=6, digest=blobs.add(b"shared"), mtime=5)
        own = Node("file", 0o755, size=len(program), digest=blobs.add(program), mtime=5)
        data = with_parents({"usr/share/data": shared}, mtime=5)
        app = with_parents({"usr/bin/app": own}, mtime=5)
        image = Image(oci=Oci(compression="none", tag="1.0"))
        request = workbench.request(image, data.overlaid(app), {"app": app, "data": data})
        products += oci.plan(replace(request, architecture=architecture))
    alone = [workbench.store.load_tree(one) for one in workbench.make(tuple(products))]
    (digest,) = workbench.make((plan_index("app", products),))
    joined = workbench.store.load_tree(digest)
    (entry,) = json.loads(blobs.read(joined["index.json"].digest))["manifests"]
    assert entry["mediaType"] == "application/vnd.oci.image.index.v1+json"
    assert entry["annotations"] == {"org.opencontainers.image.ref.name": "1.0"}
    index = json.loads(blobs.read(entry["digest"]))
    assert [one["platform"] for one in index["manifests"]] == [
        {"architecture": "amd64", "os": "linux"},
        {"architecture": "arm64", "os": "linux", "variant": "v8"},
    ]
    assert all("annotations" not in one for one in index["manifests"])
    files = {path for tree in alone for path in tree if tree[path].kind == "file"}
    added = {f"blobs/{entry['digest'].replace(':', '/')}"}
    assert {path for path in joined if joined[path].kind == "file"} == files | added
    # What both have, the layer of `data` and the empty ones, is there once.
    assert len(files) < sum(1 for tree in alone for path in tree if tree[path].kind == "file") - 2
    for architecture, tree in zip(("amd64", "arm64"), alone, strict=True):
        manifest = read_manifest(joined, blobs.read, architecture)
        assert manifest == read_manifest(tree, blobs.read, architecture)
        config = json.loads(blobs.read(manifest["config"]["digest"]))
        assert config["architecture"] == architecture
