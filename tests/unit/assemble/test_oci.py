"""An OCI layout, held against the image specification and read back as an engine does.

https://github.com/opencontainers/image-spec
"""

import hashlib
import io
import json
import re
import tarfile
from typing import Any

import pytest

from osloom.assemble import oci
from osloom.model.definition import Healthcheck, Image, Oci
from osloom.model.tar import write_tar
from osloom.model.tree import Node, Tree, with_parents
from support.workbench import EPOCH, Workbench

CREATED = "2023-11-14T22:13:20Z"
PLAIN = Oci(compression="none")
"""What compresses is not of this process: see tests/integration/test_compression.py."""
DESCRIPTOR = {"mediaType", "digest", "size"}
Member = tuple[bytes, int, int, int, int, str, bytes]


class Layout:
    """A layout as its readers see it: paths and bytes."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        (self.entry,) = json.loads(files["index.json"])["manifests"]
        self.manifest = json.loads(self.blob(self.entry))
        self.config = json.loads(self.blob(self.manifest["config"]))

    def blob(self, descriptor: dict[str, Any]) -> bytes:
        """What a descriptor names; descriptor.md: both its size and its digest have to fit."""
        assert set(descriptor) >= DESCRIPTOR
        algorithm, _, digits = descriptor["digest"].partition(":")
        data = self.files[f"blobs/{algorithm}/{digits}"]
        assert (hashlib.sha256(data).hexdigest(), len(data)) == (digits, descriptor["size"])
        return data

    def layers(self) -> list[bytes]:
        types = {one["mediaType"] for one in self.manifest["layers"]}
        assert types == {"application/vnd.oci.image.layer.v1.tar"}
        return [self.blob(one) for one in self.manifest["layers"]]


def members(data: bytes) -> dict[str, Member]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        found: dict[str, Member] = {}
        for one in archive:
            content = archive.extractfile(one) if one.isreg() else None
            found[one.name] = (
                one.type,
                one.mode,
                one.uid,
                one.gid,
                int(one.mtime),
                one.linkname,
                content.read() if content else b"",
            )
    return found


@pytest.fixture
def example(workbench: Workbench) -> tuple[Tree, dict[str, Tree]]:
    def file(text: str, mode: int = 0o644) -> Node:
        data = text.encode()
        digest = workbench.store.blobs.add(data)
        return Node("file", mode, size=len(data), digest=digest, mtime=5)

    shell = with_parents(
        {"usr/bin/dash": file("dash", 0o755), "usr/bin/sh": Node("symlink", 0o777, target="dash")},
        mtime=5,
    )
    ping = with_parents({"usr/bin/ping": file("ping", 0o4755)}, mtime=6)
    made = with_parents({"etc/hostname": file("app"), "app/main": file("main")}, mtime=EPOCH)
    return shell.overlaid(ping).overlaid(made), {"dash": shell, "iputils-ping": ping}


def make(
    workbench: Workbench, example: tuple[Tree, dict[str, Tree]], settings: Oci = PLAIN
) -> Layout:
    image = Image(oci=settings, files={"/app/main": "main"})
    tree, packages = example
    (digest,) = workbench.make(oci.plan(workbench.request(image, tree, packages)))
    store = workbench.store
    return Layout(
        {
            path: store.blobs.read(node.digest)
            for path, node in store.load_tree(digest).items()
            if node.digest is not None
        }
    )


def test_an_engine_that_applies_the_layers_has_the_image(
    workbench: Workbench, example: tuple[Tree, dict[str, Tree]]
) -> None:
    layout = make(workbench, example)
    applied: dict[str, Member] = {}
    for layer in layout.layers():
        applied.update(members(layer))
    whole = b"".join(write_tar(example[0], workbench.store.blobs.chunks))
    assert applied == members(whole)


def test_the_layout_holds_what_the_specification_asks_and_nothing_else(
    workbench: Workbench, example: tuple[Tree, dict[str, Tree]]
) -> None:
    layout = make(workbench, example)
    assert json.loads(layout.files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    assert json.loads(layout.files["index.json"]) == {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [layout.entry],
    }
    assert layout.entry == {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": layout.entry["digest"],
        "size": layout.entry["size"],
        "platform": {"architecture": "amd64", "os": "linux"},
        "annotations": {"org.opencontainers.image.ref.name": "7"},
    }
    assert set(layout.manifest) == {"schemaVersion", "mediaType", "config", "layers", "annotations"}
    assert layout.manifest["annotations"] == {
        "org.opencontainers.image.created": CREATED,
        "org.opencontainers.image.title": "app",
        "org.opencontainers.image.version": "7",
    }
    named = [layout.entry, layout.manifest["config"], *layout.manifest["layers"]]
    places = {f"blobs/{one['digest'].replace(':', '/')}" for one in named}
    assert places | {"index.json", "oci-layout"} == set(layout.files)
    component = r"[A-Za-z0-9]+([-._:@/+][A-Za-z0-9]+)*"  # image-layout.md, ref.name
    name = layout.entry["annotations"]["org.opencontainers.image.ref.name"]
    assert re.fullmatch(component, name)


def test_each_layer_has_a_diff_id_and_a_line_of_history(
    workbench: Workbench, example: tuple[Tree, dict[str, Tree]]
) -> None:
    layout = make(workbench, example)
    assert layout.config["rootfs"] == {
        "type": "layers",
        "diff_ids": [f"sha256:{hashlib.sha256(one).hexdigest()}" for one in layout.layers()],
    }
    assert layout.config["history"] == [
        {"created": CREATED, "created_by": title}
        for title in ("dash", "iputils-ping", "configuration", "files of the definition")
    ]


def test_the_configuration_is_what_the_definition_says(
    workbench: Workbench, example: tuple[Tree, dict[str, Tree]]
) -> None:
    settings = Oci(
        compression="none",
        entrypoint=("/usr/bin/sh", "-c"),
        command=("exit",),
        user="7:8",
        env={"PATH": "/app", "A": "b c"},
        working_directory="/app",
        ports=(8080, "53/udp"),
        volumes=("/data",),
        stop_signal="SIGINT",
        labels={"b": "2", "a": "1"},
        healthcheck=Healthcheck(command=("/app/main", "--check"), interval=5, timeout=2, retries=1),
        annotations={"org.opencontainers.image.title": "Shop"},
        tag="latest",
    )
    layout = make(workbench, example, settings)
    described = {name: layout.config[name] for name in ("created", "architecture", "os", "config")}
    assert described == {
        "created": CREATED,
        "architecture": "amd64",
        "os": "linux",
        "config": {
            "User": "7:8",
            "ExposedPorts": {"8080/tcp": {}, "53/udp": {}},
            "Env": ["PATH=/app", "A=b c"],
            "Entrypoint": ["/usr/bin/sh", "-c"],
            "Cmd": ["exit"],
            "Volumes": {"/data": {}},
            "WorkingDir": "/app",
            "Labels": {
                "a": "1",
                "b": "2",
                "org.opencontainers.image.title": "app",
                "org.opencontainers.image.version": "7",
            },
            "StopSignal": "SIGINT",
            "Healthcheck": {
                "Test": ["CMD", "/app/main", "--check"],
                "Interval": 5_000_000_000,
                "Timeout": 2_000_000_000,
                "Retries": 1,
            },
        },
    }
    assert layout.manifest["annotations"]["org.opencontainers.image.title"] == "Shop"
    assert layout.entry["annotations"] == {"org.opencontainers.image.ref.name": "latest"}


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 127])
def test_there_are_never_more_layers_than_asked_for(
    workbench: Workbench, example: tuple[Tree, dict[str, Tree]], limit: int
) -> None:
    layout = make(workbench, example, Oci(compression="none", layers=limit))
    assert len(layout.manifest["layers"]) == min(limit, 4)
    applied: dict[str, Member] = {}
    for layer in layout.layers():
        applied.update(members(layer))
    assert sorted(applied) == list(example[0])


def test_the_same_layout_is_made_when_nothing_is_remembered(
    workbench: Workbench, example: tuple[Tree, dict[str, Tree]]
) -> None:
    first = make(workbench, example).files
    for place in (workbench.store.root / "results").glob("??/*"):
        place.unlink()
    assert make(workbench, example).files == first
