"""OCI images with store paths: layers, and PATH."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from osloom.assemble.oci import plan
from osloom.assemble.oci_config import with_path
from osloom.assemble.request import Request, StorePart
from osloom.base.digest import Digest
from osloom.model.definition import Image, Oci
from osloom.model.tree import Node, Tree
from support.workbench import Workbench

PROGRAMS = "/nix/var/nix/profiles/default/bin"
NAMES = tuple(f"{digit * 32}-p{digit}-1" for digit in "12345")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            None,
            f"/usr/local/sbin:/usr/local/bin:{PROGRAMS}:/usr/sbin:/usr/bin:/sbin:/bin",
        ),
        ("/opt/bin:/usr/local/bin:/usr/bin", f"/opt/bin:/usr/local/bin:{PROGRAMS}:/usr/bin"),
        ("/bin:/usr/local/bin", f"{PROGRAMS}:/bin:/usr/local/bin"),
        ("/opt/bin", f"/opt/bin:{PROGRAMS}"),
        (f"{PROGRAMS}:/usr/bin", f"{PROGRAMS}:/usr/bin"),
    ],
)
def test_nix_goes_before_the_distribution_and_after_usr_local(
    before: str | None, after: str
) -> None:
    settings = Oci(env={"PATH": before} if before else {})
    assert with_path(settings, (PROGRAMS,)).env == {"PATH": after}


class Images:
    """Images of the same store paths."""

    def __init__(self, root: Path) -> None:
        self.bench = Workbench(root)
        data = b"content"
        digest = self.bench.store.blobs.add(data)
        file = Node("file", 0o444, mtime=1, size=len(data), digest=digest)
        self.closure = {
            name: {
                f"nix/store/{name}": Node("dir", 0o555, mtime=1),
                f"nix/store/{name}/file": file,
            }
            for name in NAMES
        }
        self.hello = Tree({"usr": Node("dir", 0o755), "usr/hello": file})

    def request(self, image: Image, more: Mapping[str, Node]) -> Request:
        nodes = {path: node for one in self.closure.values() for path, node in one.items()}
        store = {"nix": Node("dir", 0o755, mtime=9), "nix/store": Node("dir", 0o1775, gid=3)}
        tree = Tree({**store, **nodes, **more})
        request = self.bench.request(image, tree, {"hello": self.hello} if "usr" in more else {})
        parts = tuple(
            StorePart(
                name=name, references=NAMES[:number], size=100, tree=self.bench.output(Tree(one))
            )
            for number, (name, one) in enumerate(self.closure.items())
        )
        fields = {name: getattr(request, name) for name in request.__slots__}
        return Request(**{**fields, "closure": parts})

    def layers(self, image: Image, more: Mapping[str, Node]) -> dict[str, str]:
        """Titles of the image's layers, lowest first, and their digests."""
        (tree,) = self.bench.make(plan(self.request(image, more)))
        layout = self.bench.store.load_tree(tree)

        def read(digest: str) -> Any:
            return json.loads(self.bench.store.blobs.read(Digest(digest)))

        index = read(str(layout["index.json"].digest))
        manifest = read(index["manifests"][0]["digest"])
        config = read(manifest["config"]["digest"])
        titles = [one["created_by"] for one in config["history"]]
        return dict(zip(titles, (one["digest"] for one in manifest["layers"]), strict=True))


@pytest.fixture
def images(tmp_path: Path) -> Images:
    return Images(tmp_path / "store")


def image(layers: int) -> Image:
    return Image(outputs=("oci",), oci=Oci(compression="none", layers=layers))


def test_a_layer_of_a_path_is_the_same_whatever_else_is_in_the_image(images: Images) -> None:
    alone = images.layers(image(100), {})
    assert list(alone) == ["p1-1", "p2-1", "p3-1", "p4-1", "p5-1", "configuration"]
    beside = images.layers(image(100), {**images.hello, "etc": Node("dir", 0o755)})
    assert list(beside) == [*list(alone)[:5], "hello", "configuration"]
    assert {title: beside[title] for title in list(alone)[:5]} == {
        title: alone[title] for title in list(alone)[:5]
    }


@pytest.mark.parametrize(
    ("most", "expected"),
    [
        (1, ["configuration"]),
        (2, ["p1-1, p2-1, p3-1, p4-1, p5-1", "configuration"]),
        (3, ["p1-1, p2-1, p3-1, p4-1, p5-1", "configuration"]),
        (4, ["p1-1, p2-1, p3-1, p4-1", "p5-1", "configuration"]),
    ],
)
def test_too_few_layers_are_shared(images: Images, most: int, expected: list[str]) -> None:
    assert list(images.layers(image(most), {})) == expected


def test_packages_and_paths_share_what_layers_there_are(images: Images) -> None:
    found = images.layers(image(4), dict(images.hello))
    assert list(found) == ["p1-1, p2-1, p3-1, p4-1, p5-1", "hello", "configuration"]
