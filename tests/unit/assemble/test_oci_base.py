"""Layouts of images that start from one of a registry."""

import hashlib
import json
from typing import Any

import msgspec
import pytest

from osloom.assemble import oci
from osloom.assemble.base import BaseImage, Settings
from osloom.base.digest import Digest
from osloom.base.errors import BuildError
from osloom.model.changeset import apply_layer
from osloom.model.definition import Image, Oci
from osloom.model.lock import Base, BaseLayer
from osloom.model.tree import Node, Tree, with_parents
from osloom.sources.oci.layer import read_layer
from support.layer import diff_id, files, packed
from support.workbench import EPOCH, Workbench

DOCKER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
CONFIG = {
    "architecture": "amd64",
    "os": "linux",
    "config": {
        "User": "1:1",
        "ExposedPorts": {"53/udp": {}, "80/tcp": {}},
        "Env": ["PATH=/opt/bin:/bin", "A=base", "B=base", "broken"],
        "Entrypoint": ["/entry"],
        "Cmd": ["start"],
        "Volumes": {"/data": {}},
        "WorkingDir": "/srv",
        "Labels": {
            "a": "base",
            "b": "base",
            "org.opencontainers.image.description": "the base",
            "org.opencontainers.image.title": "base",
        },
        "StopSignal": "SIGINT",
        "Healthcheck": {"Test": ["CMD-SHELL", "true"]},
        "Shell": ["/bin/sh", "-c"],
        "OnBuild": ["RUN true"],
        "Hostname": "0123456789ab",
    },
    "rootfs": {"type": "layers", "diff_ids": []},
    "history": [
        {"created_by": "ADD rootfs"},
        {"created_by": "ENV A=base", "empty_layer": True},
        {"created_by": "RUN true"},
    ],
}


def test_what_the_definition_does_not_set_is_the_bases() -> None:
    base = BaseImage(config=msgspec.convert(CONFIG["config"], Settings))
    assert base.inherited(Oci()) == Oci(
        entrypoint=("/entry",),
        command=("start",),
        user="1:1",
        env={"PATH": "/opt/bin:/bin", "A": "base", "B": "base"},
        working_directory="/srv",
        stop_signal="SIGINT",
    )


def test_what_the_definition_sets_wins() -> None:
    base = BaseImage(config=msgspec.convert(CONFIG["config"], Settings))
    own = Oci(
        command=("stop",),
        user="app",
        env={"A": "own"},
        working_directory="/",
        labels={"a": "own"},
        stop_signal="SIGTERM",
    )
    assert base.inherited(own) == msgspec.structs.replace(
        own,
        entrypoint=("/entry",),
        env={"PATH": "/opt/bin:/bin", "A": "own", "B": "base"},
    )


def test_an_entrypoint_of_its_own_forgets_the_bases_command() -> None:
    base = BaseImage(config=msgspec.convert(CONFIG["config"], Settings))
    made = base.inherited(Oci(entrypoint=("/own",)))
    assert (made.entrypoint, made.command) == (("/own",), ())


def test_of_no_base_nothing_is_inherited() -> None:
    own = Oci(entrypoint=("/own",), env={"A": "b"})
    assert BaseImage().inherited(own) == own
    configuration = {"config": {}, "rootfs": {"type": "layers", "diff_ids": ["a"]}, "history": [{}]}
    assert BaseImage().continued(configuration) == configuration


def test_ports_and_volumes_add_up_and_a_check_of_its_own_wins() -> None:
    base = BaseImage(config=msgspec.convert(CONFIG["config"], Settings))
    own = {"ExposedPorts": {"443/tcp": {}}, "Healthcheck": {"Test": ["CMD", "/check"]}}
    rest: dict[str, Any] = {"rootfs": {"type": "layers", "diff_ids": []}, "history": []}
    assert base.continued({"config": own, **rest})["config"] == {
        "ExposedPorts": {"443/tcp": {}, "53/udp": {}, "80/tcp": {}},
        "Healthcheck": {"Test": ["CMD", "/check"]},
        "Shell": ("/bin/sh", "-c"),
        "Volumes": {"/data": {}},
    }


class Example:
    """A base of two layers, and an image on it that adds, changes and removes."""

    def __init__(self, workbench: Workbench, config: dict[str, Any]) -> None:
        self.blobs = workbench.store.blobs
        archives = [files({"etc/a": "1", "etc/gone": "2"}), files({"etc/b": "3"})]
        self.layers = [packed(one, "gzip") for one in archives]
        self.base_tree = Tree()
        for archive in archives:
            digest = self.blobs.add(archive)
            with self.blobs.open(digest) as file:
                layer = read_layer(file, self.blobs, limit=1 << 20, diff_id=diff_id(archive))
            self.base_tree = apply_layer(self.base_tree, layer)
        self.diff_ids = [diff_id(one) for one in archives]
        data = json.dumps(config).encode()
        self.base = Base(
            reference="oci:registry.example.com/base:1",
            architecture="amd64",
            manifest=Digest("sha256:" + "0" * 64),
            config=self.blobs.add(data),
            config_size=len(data),
            layers=tuple(
                BaseLayer(
                    digest=self.blobs.add(blob),
                    size=len(blob),
                    media_type=DOCKER,
                    diff_id=digest,
                )
                for blob, digest in zip(self.layers, self.diff_ids, strict=True)
            ),
        )
        own = Node("file", 0o755, mtime=EPOCH, size=3, digest=self.blobs.add(b"own"))
        self.tree = self.base_tree.without(["etc/gone"]).overlaid(
            with_parents({"app/run": own, "entry": own}, mtime=EPOCH)
        )

    def make(self, workbench: Workbench, settings: Oci) -> dict[str, Any]:
        import msgspec

        request = msgspec.structs.replace(
            workbench.request(Image(oci=settings), self.tree),
            base=self.base,
            base_tree=workbench.output(self.base_tree),
        )
        (digest,) = workbench.make(oci.plan(request))
        tree = workbench.store.load_tree(digest)

        def read(digest: str) -> bytes:
            node = tree[f"blobs/{digest.replace(':', '/')}"]
            assert node.digest == digest
            return self.blobs.read(node.digest)

        index = tree["index.json"].digest
        assert index is not None
        (entry,) = json.loads(self.blobs.read(index))["manifests"]
        manifest = json.loads(read(entry["digest"]))
        return {
            "manifest": manifest,
            "config": json.loads(read(manifest["config"]["digest"])),
            "layers": [read(one["digest"]) for one in manifest["layers"]],
        }


def test_the_layers_of_the_base_come_first_and_untouched(workbench: Workbench) -> None:
    example = Example(workbench, CONFIG)
    made = example.make(workbench, Oci(compression="none"))
    assert made["layers"][:2] == example.layers
    below, own = made["manifest"]["layers"][:2], made["layers"][2:]
    # A manifest of OCI has layers of OCI: the blobs are the same.
    assert {one["mediaType"] for one in below} == {"application/vnd.oci.image.layer.v1.tar+gzip"}
    diff_ids = [f"sha256:{hashlib.sha256(one).hexdigest()}" for one in own]
    assert made["config"]["rootfs"]["diff_ids"] == [*example.diff_ids, *diff_ids]
    assert len(own) == 1
    assert b"etc/.wh.gone" in own[0]
    assert b"etc/a" not in own[0]


def test_history_and_configuration_go_on(workbench: Workbench) -> None:
    made = Example(workbench, CONFIG).make(workbench, Oci(compression="none"))
    assert made["config"]["history"][:3] == CONFIG["history"]
    assert [one["created_by"] for one in made["config"]["history"][3:]] == ["configuration"]
    assert made["config"]["config"] == {
        "User": "1:1",
        "ExposedPorts": {"53/udp": {}, "80/tcp": {}},
        "Env": ["PATH=/opt/bin:/bin", "A=base", "B=base"],
        "Entrypoint": ["/entry"],
        "Cmd": ["start"],
        "Volumes": {"/data": {}},
        "WorkingDir": "/srv",
        "Labels": {
            "a": "base",
            "b": "base",
            "org.opencontainers.image.title": "app",
            "org.opencontainers.image.version": "7",
        },
        "StopSignal": "SIGINT",
        "Healthcheck": {"Test": ["CMD-SHELL", "true"]},
        "Shell": ["/bin/sh", "-c"],
    }
    annotations = made["manifest"]["annotations"]
    assert annotations["org.opencontainers.image.base.name"] == "registry.example.com/base:1"
    assert annotations["org.opencontainers.image.base.digest"] == "sha256:" + "0" * 64


@pytest.mark.parametrize("history", [None, [], [{"created_by": "all"}]])
def test_a_history_that_is_not_about_the_layers_is_told_anew(
    workbench: Workbench, history: object
) -> None:
    made = Example(workbench, {**CONFIG, "history": history}).make(
        workbench, Oci(compression="none")
    )
    assert [one["created_by"] for one in made["config"]["history"]] == [
        "a layer of oci:registry.example.com/base:1",
        "a layer of oci:registry.example.com/base:1",
        "configuration",
    ]


def test_a_configuration_of_nothing(workbench: Workbench) -> None:
    made = Example(workbench, {"config": None}).make(workbench, Oci(compression="none"))
    assert made["config"]["config"]["Env"][0].startswith("PATH=/usr/local/sbin:")


def test_a_configuration_that_is_none(workbench: Workbench) -> None:
    example = Example(workbench, {"config": {"Env": "A=b"}})
    with pytest.raises(BuildError) as caught:
        example.make(workbench, Oci(compression="none"))
    assert caught.value.message.startswith(
        "cannot read the configuration of oci:registry.example.com/base:1: Expected `array | null`"
    )


def test_a_base_that_leaves_no_room(workbench: Workbench) -> None:
    example = Example(workbench, CONFIG)
    example.base = msgspec.structs.replace(example.base, layers=example.base.layers[:1] * 127)
    with pytest.raises(BuildError) as caught:
        example.make(workbench, Oci(compression="none"))
    assert caught.value.message == (
        "cannot write app.oci: its base has 127 layers, and container engines take 127"
    )


def test_as_many_layers_as_are_left(workbench: Workbench) -> None:
    example = Example(workbench, CONFIG)
    layers = (example.base.layers[0], *example.base.layers[1:] * 125)
    example.base = msgspec.structs.replace(example.base, layers=layers)
    own = Node("file", 0o644, size=3, digest=example.blobs.add(b"own"))
    example.tree = example.tree.overlaid(Tree({"app/more": own}))
    made = example.make(workbench, Oci(compression="none", layers=127))
    assert len(made["layers"]) == 127
