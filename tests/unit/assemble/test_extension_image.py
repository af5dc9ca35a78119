"""What says for which systems an extension is, and what starts its units."""

from pathlib import Path

import pytest

from osloom.assemble.extension import Settings, extension_tree, parse_release
from osloom.base.errors import BuildError
from osloom.model.tree import Node, Tree, with_parents
from osloom.store.store import Store

EPOCH = 1_700_000_000
DEBIAN = b'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nVERSION_ID="13"\nID=debian\n'
UNIT = "usr/lib/systemd/system/app.service"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def file(store: Store, text: str) -> Node:
    return Node("file", 0o644, size=len(text), digest=store.blobs.add(text.encode()))


def made(store: Store, nodes: dict[str, Node], release: bytes = DEBIAN, **more: object) -> Tree:
    plain = {"kind": "sysext", "name": "x", "version": "7", "architecture": "amd64"}
    settings = Settings(**{**plain, "epoch": EPOCH, **more})  # type: ignore[arg-type]
    return extension_tree(with_parents(nodes, mtime=1), store.blobs, settings, release)


def text(store: Store, tree: Tree, path: str) -> str:
    digest = tree[path].digest
    assert digest is not None
    return store.blobs.read(digest).decode()


def test_it_has_what_its_kind_merges_and_says_for_whom(store: Store) -> None:
    nodes = {"usr/bin/a": file(store, "a"), "opt/b": file(store, "b"), "etc/c": file(store, "c")}
    place = "usr/lib/extension-release.d/extension-release.x"
    tree = made(store, nodes)
    assert [path for path, node in tree.items() if node.kind == "file"] == [
        "opt/b",
        "usr/bin/a",
        place,
    ]
    assert text(store, tree, place) == (
        "ID=debian\nVERSION_ID=13\nARCHITECTURE=x86-64\nSYSEXT_ID=x\nSYSEXT_VERSION_ID=7\n"
    )
    # So that the file may be called with its version or without.
    assert tree[place].xattrs == (("user.extension-release.strict", b"0"),)
    assert all(node.mtime <= EPOCH for node in tree.values())
    tree = made(store, nodes, kind="confext", level="2", architecture="arm64")
    place = "etc/extension-release.d/extension-release.x"
    assert [path for path, node in tree.items() if node.kind == "file"] == ["etc/c", place]
    assert text(store, tree, place) == (
        "ID=debian\nCONFEXT_LEVEL=2\nARCHITECTURE=arm64\nCONFEXT_ID=x\nCONFEXT_VERSION_ID=7\n"
    )


def test_what_extends_nothing_is_for_any_system(store: Store) -> None:
    tree = made(store, {"usr/bin/a": file(store, "a")}, release=b"")
    said = text(store, tree, "usr/lib/extension-release.d/extension-release.x")
    assert said.startswith("ID=_any\nARCHITECTURE=x86-64\n")


def test_units_are_upheld_by_their_targets(store: Store) -> None:
    unit = "[Service]\nExecStart=/x\n[Install]\nWantedBy=basic.target multi-user.target\n"
    other = "usr/lib/systemd/system/other.socket"
    nodes = {UNIT: file(store, unit), other: file(store, "[Socket]\n")}
    tree = made(store, nodes, enable=("app.service", "other.socket"))
    place = "usr/lib/systemd/system/{}.d/50-x.conf"
    assert text(store, tree, place.format("basic.target")) == "[Unit]\nUpholds=app.service\n"
    assert text(store, tree, place.format("multi-user.target")) == (
        "[Unit]\nUpholds=app.service other.socket\n"
    )
    release = text(store, tree, "usr/lib/extension-release.d/extension-release.x")
    assert "EXTENSION_RELOAD_MANAGER=1\n" in release
    with pytest.raises(BuildError) as caught:
        made(store, nodes, enable=("ap.service",))
    assert (caught.value.message, caught.value.hint) == (
        "cannot start `ap.service`: `x` brings no such unit",
        "did you mean `app.service`?",
    )


def test_os_release_is_read_as_a_shell_would() -> None:
    assert parse_release("# no\nA=1\nB='x y'\nC=\"z\\\"\"\nbroken\nD='\nE=\n") == {
        "A": "1",
        "B": "x y",
        "C": 'z"',
        "E": "",
    }
