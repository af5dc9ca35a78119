"""What an extension adds to the image that it extends."""

from pathlib import Path

import msgspec
import pytest

from osloom.base.errors import BuildError
from osloom.compose.extension import Settings, add_to, added_to, check_versions
from osloom.engine.step import Job
from osloom.model.lock import Package
from osloom.model.tree import Node, Tree, with_parents
from osloom.store.store import Store

EPOCH = 1_700_000_000


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def file(store: Store, text: str, *, mode: int = 0o644, mtime: int = 1) -> Node:
    data = text.encode()
    return Node("file", mode, mtime=mtime, size=len(data), digest=store.blobs.add(data))


def tree(nodes: dict[str, Node]) -> Tree:
    return with_parents(nodes, mtime=1)


def test_what_is_there_in_the_same_form_is_left_out(store: Store) -> None:
    below = tree(
        {
            "usr/bin/a": file(store, "a"),
            "usr/bin/b": file(store, "b"),
            "usr/bin": Node("dir", 0o750, gid=7),
            "usr/lib/os-release": file(store, "ID=debian\n"),
        }
    )
    own = tree(
        {
            "usr/bin/a": file(store, "a", mtime=EPOCH),
            "usr/bin/b": file(store, "other"),
            "usr/bin/c": file(store, "c"),
            "usr/share/empty": Node("dir", 0o755),
            "usr/lib/os-release": file(store, "ID=other\n"),
        }
    )
    added = added_to(own, below, epoch=EPOCH)
    assert sorted(path for path, node in added.items() if node.kind == "file") == [
        "usr/bin/b",
        "usr/bin/c",
    ]
    # The topmost directory of an overlay says what the merged one is like.
    assert (added["usr/bin"].mode, added["usr/bin"].gid) == (0o750, 7)
    assert added["usr/share/empty"].kind == "dir"


def test_names_of_one_file_stay_names_of_one_file(store: Store) -> None:
    same = file(store, "a")
    below = tree({"usr/bin/a": same})
    own = tree({"usr/bin/a": same, "usr/bin/b": Node("hardlink", 0o644, target="usr/bin/a")})
    added = added_to(own, below, epoch=EPOCH)
    assert added["usr/bin/a"] == same
    assert added["usr/bin/b"].target == "usr/bin/a"


def test_a_file_takes_the_place_of_a_directory_without_whiteouts(store: Store) -> None:
    below = tree({"usr/share/x/inside": file(store, "1")})
    added = added_to(tree({"usr/share/x": file(store, "2")}), below, epoch=EPOCH)
    assert [path for path, node in added.items() if node.kind == "file"] == ["usr/share/x"]


def package(name: str, version: str) -> Package:
    return Package(
        name=name,
        version=version,
        architecture="amd64",
        repository="debian",
        path=f"pool/{name}",
        size=1,
        digest="sha256:" + "0" * 64,  # type: ignore[arg-type]
    )


def test_packages_that_are_there_are_left_out_and_other_versions_refused() -> None:
    below = [package("libc6", "2.41"), package("bash", "5")]
    own = [package("libc6", "2.41"), package("strace", "6")]
    assert [one.name for one in check_versions("x", "gateway", own, below)] == ["strace"]
    with pytest.raises(BuildError) as caught:
        check_versions("x", "gateway", [package("libc6", "2.42")], below)
    assert caught.value.message == (
        "cannot extend `gateway` with `x`: it needs libc6 2.42, and `gateway` has 2.41"
    )


POSTINST = """#!/bin/sh
adduser --system --group app
update-alternatives --install /usr/bin/vi vi /usr/bin/vim.tiny 15
run-something-else
"""


def made(store: Store, own: Tree, below: Tree, *kinds: str) -> tuple[Tree, list[str]]:
    control = {"control": "Package: app\nVersion: 1\n", "postinst": POSTINST}
    controls = Tree({name: file(store, text) for name, text in control.items()})
    job = Job(
        store=store,
        parameters={"settings": msgspec.to_builtins(Settings(epoch=EPOCH, kinds=kinds))},
        inputs={
            "tree": store.add_tree(own),
            "below": store.add_tree(below),
            "controls": (store.add_tree(controls),),
        },
        work=store.root,
    )
    outputs = add_to.run(job)
    assert store.blobs.read(outputs["release"]) == b"ID=debian\n"
    return store.load_tree(outputs["tree"]), store.blobs.read(outputs["notes"]).decode().split("\n")


def test_what_nobody_sees_or_does_is_named(store: Store) -> None:
    unit = "[Service]\nExecStart=/x\n[Install]\nWantedBy=multi-user.target\n"
    own = tree(
        {
            "usr/bin/vim.tiny": file(store, "vim", mode=0o755),
            "usr/lib/systemd/system/app.service": file(store, unit),
            "usr/share/doc/app/README": file(store, "documentation"),
            "etc/app.conf": file(store, ""),
            "var/lib/app": Node("dir", 0o755),
            "srv/x": file(store, ""),
            "srv/y": file(store, ""),
        }
    )
    below = tree(
        {
            "usr/lib/os-release": file(store, "ID=debian\n"),
            "etc/os-release": Node("symlink", 0o777, target="../usr/lib/os-release"),
        }
    )
    added, notes = made(store, own, below, "sysext")
    assert added["usr/bin/vi"].target == "/usr/bin/vim.tiny"
    assert "usr/share/doc/app/README" not in added
    assert notes == [
        "/etc/app.conf is not in it: add `confext` to `outputs` if they are needed",
        (
            "/srv/x and 1 more below /srv are not in it: nothing of a package outside /usr, /opt"
            " and /etc can be in an extension"
        ),
        "/var/lib/app is not in it: a file in /usr/lib/tmpfiles.d can make it, tmpfiles.d(5)",
        ("`app.service` does not start by itself: name it in `systemd.enable` if it is to"),
        (
            "`app` wants the user `app`, and an extension comes too late for accounts: make it in"
            " the image that is extended"
        ),
        (
            "the scripts of `app` did not run: they would run `run-something-else`; do it in the"
            " image that is extended, or in a unit"
        ),
    ]
    _, notes = made(store, own, below, "sysext", "confext")
    assert not [one for one in notes if "/etc/app.conf" in one]
