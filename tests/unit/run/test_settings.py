"""What an image configuration says of how to run."""

import json
from pathlib import Path

import pytest

from osloom.base.digest import to_hex
from osloom.base.errors import BuildError, UsageError
from osloom.fetch.registry.descriptor import OCI_MANIFEST
from osloom.model.tree import Node, Tree, with_parents
from osloom.run.settings import Settings, load_settings
from osloom.store.store import Store


@pytest.mark.parametrize(
    ("settings", "arguments", "entrypoint", "words"),
    [
        (Settings(entrypoint=("serve",), cmd=("--all",)), [], None, ["serve", "--all"]),
        (Settings(entrypoint=("serve",), cmd=("--all",)), ["--one"], None, ["serve", "--one"]),
        (Settings(cmd=("bash",)), ["ls", "-l"], None, ["ls", "-l"]),
        (Settings(entrypoint=("serve",), cmd=("--all",)), [], "/bin/sh", ["/bin/sh"]),
        (Settings(), ["-c", "id"], "/bin/sh", ["/bin/sh", "-c", "id"]),
    ],
)
def test_arguments_take_the_place_of_the_command(
    settings: Settings, arguments: list[str], entrypoint: str | None, words: list[str]
) -> None:
    assert settings.program(arguments, entrypoint=entrypoint) == words


def test_a_container_without_a_program_needs_one() -> None:
    with pytest.raises(UsageError) as caught:
        Settings().program([])
    assert caught.value.message == (
        "cannot run the container: it has neither `entrypoint` nor `command`"
    )


def test_only_tcp_ports_count() -> None:
    assert Settings(exposed_ports={"80": {}, "443/tcp": {}, "53/udp": {}}).ports == (80, 443)
    strange = ("²/tcp", "0", "65536", "9" * 5000, "http")
    assert Settings(exposed_ports={one: {} for one in strange}).ports == ()


def test_a_variable_may_have_an_equals_sign_in_its_value() -> None:
    assert Settings(env=("A=b=c", "D=")).environment == {"A": "b=c", "D": ""}


def descriptor(node: Node) -> dict[str, object]:
    return {"mediaType": OCI_MANIFEST, "digest": node.digest, "size": node.size}


def layout(store: Store, config: object) -> Tree:
    """A layout as far as it is read."""

    def add(value: object) -> tuple[str, Node]:
        data = json.dumps(value).encode()
        digest = store.blobs.add(data)
        return f"blobs/sha256/{to_hex(digest)}", Node("file", 0o644, size=len(data), digest=digest)

    configuration = add(config)
    manifest = add({"schemaVersion": 2, "config": descriptor(configuration[1]), "layers": []})
    index = add({"schemaVersion": 2, "manifests": [descriptor(manifest[1])]})
    nodes = dict([configuration, manifest, ("index.json", index[1])])
    return with_parents(nodes, mtime=0)


def test_they_come_from_the_layout_as_it_is(tmp_path: Path) -> None:
    store = Store(tmp_path)
    config = {"User": "app", "Env": None, "Cmd": ["a"], "WorkingDir": "/srv", "OnBuild": ["x"]}
    tree = layout(store, {"architecture": "amd64", "config": config})
    found = load_settings(store, store.add_tree(tree), "amd64")
    assert found == Settings(user="app", cmd=("a",), working_dir="/srv")


@pytest.mark.parametrize("config", [{"config": {"Env": "A=b"}}, {"config": {"Cmd": [1]}}, []])
def test_a_configuration_of_another_shape_is_refused(tmp_path: Path, config: object) -> None:
    store = Store(tmp_path)
    with pytest.raises(BuildError, match="cannot read the image layout"):
        load_settings(store, store.add_tree(layout(store, config)), "amd64")


def test_a_layout_that_lacks_a_blob_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(BuildError, match=r"it has no index\.json"):
        load_settings(store, store.add_tree(Tree()), "amd64")
