"""An OCI image layout as a tree: blobs, and an index that names one of them.

https://github.com/opencontainers/image-spec: image-layout.md, descriptor.md
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from osloom.base.digest import Digest, to_hex
from osloom.model.tree import Node, Tree, with_parents
from osloom.store.blobs import Blobs

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"


def read_manifest(
    layout: Tree, read: Callable[[Digest], bytes], architecture: str
) -> dict[str, Any]:
    """The manifest of a layout that osloom wrote, of one image for one or several architectures."""
    digest = layout["index.json"].digest
    assert digest is not None
    index = json.loads(read(digest))
    while "manifests" in index:
        entries = index["manifests"]
        fitting = [
            one for one in entries if one.get("platform", {}).get("architecture") == architecture
        ]
        index = json.loads(read((fitting or entries)[0]["digest"]))
    manifest: dict[str, Any] = index
    return manifest


def canonical_json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


class Layout:
    """A layout being made."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self.nodes: dict[str, Node] = {}
        """The paths below `blobs`."""

    def add(self, data: bytes, media_type: str) -> dict[str, Any]:
        """Keep a blob; gives its descriptor."""
        digest = self._blobs.add(data)
        self.hold(digest, len(data))
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    def hold(self, digest: Digest, size: int) -> None:
        """Take in a blob that the store has."""
        path = f"blobs/sha256/{to_hex(digest)}"
        self.nodes[path] = Node("file", 0o644, size=size, digest=digest)

    def finished(self, entry: Mapping[str, Any]) -> Tree:
        """The layout whose index has the one descriptor `entry`."""
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}
        files = {
            "index.json": canonical_json(index),
            "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
        }
        nodes = dict(self.nodes)
        for path, data in files.items():
            nodes[path] = Node("file", 0o644, size=len(data), digest=self._blobs.add(data))
        return with_parents(nodes, mtime=0)
