"""Packages and settings on the tree of a base image."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from osloom.base.digest import digest_bytes
from osloom.base.errors import BuildError
from osloom.compose.customise import Settings, customise
from osloom.compose.merge import Claimant
from osloom.compose.onto import onto, with_untouched
from osloom.compose.scripts import finish
from osloom.engine.step import Job
from osloom.model.definition import File, User
from osloom.model.tree import Node, Tree, with_parents
from osloom.store.store import Store

EPOCH = 1_700_000_000


def text(content: str, mtime: int = 5) -> Node:
    digest = digest_bytes(content.encode())
    return Node("file", 0o644, mtime=mtime, size=len(content), digest=digest)


def of(nodes: dict[str, Node]) -> Tree:
    return with_parents(nodes, mtime=1)


def link(target: str) -> Node:
    return Node("symlink", 0o777, target=target)


def test_files_of_packages_go_before_those_of_the_base() -> None:
    private = Node("dir", 0o700, mtime=9)
    base = of({"etc": private, "etc/conf": text("base"), "usr/bin/tool": text("base")})
    package = with_parents({"etc/conf": text("package"), "usr/bin/new": text("new")}, mtime=3)
    made = onto(base, [Claimant(name="one", tree=package)])
    assert {path: made[path] for path in ("etc", "etc/conf", "usr/bin/tool", "usr/bin/new")} == {
        "etc": private,
        "etc/conf": text("package"),
        "usr/bin/tool": text("base"),
        "usr/bin/new": text("new"),
    }
    assert made["bin"] == link("usr/bin")


def test_where_the_base_has_links_packages_follow_them() -> None:
    base = of({"lib": link("usr/lib"), "usr/lib/a": text("a"), "bin/sh": text("sh")})
    package = of({"lib/b": text("b"), "bin/tool": text("tool")})
    made = onto(base, [Claimant(name="one", tree=package)])
    assert made["usr/lib/b"] == text("b")
    assert made["lib"] == link("usr/lib")
    # A base of another system need not have merged them.
    assert made["bin/tool"] == text("tool")
    assert made["bin"].kind == "dir"


def test_nothing_is_put_below_a_link_of_the_base() -> None:
    base = of({"usr": link("system"), "system/bin/sh": text("sh")})
    made = onto(base, [Claimant(name="one", tree=of({"usr/bin/tool": text("tool")}))])
    assert made["system/bin/tool"] == text("tool")
    assert not [path for path in made if path.startswith("usr/")]


def test_a_file_that_a_package_replaces_stays_under_its_other_names() -> None:
    base = of({"a": text("base"), "b": Node("hardlink", 0o644, target="a")})
    made = onto(base, [Claimant(name="one", tree=Tree({"a": text("package")}))])
    assert (made["a"], made["b"]) == (text("package"), text("base"))


def test_a_file_of_a_package_where_the_base_has_a_directory() -> None:
    base = of({"opt/x/y": text("y")})
    with pytest.raises(BuildError) as caught:
        onto(base, [Claimant(name="one", tree=of({"opt/x": text("x")}))])
    assert caught.value.message == (
        "cannot merge `one`: `/opt/x` is a file in it, and a directory in the base"
    )


def job(store: Store, parameters: dict[str, Any], **trees: Tree) -> Job:
    inputs = {name: store.add_tree(tree) for name, tree in trees.items()}
    return Job(store=store, parameters=parameters, inputs=inputs, work=store.root)


def test_what_is_as_in_the_base_stays_however_late_it_is(tmp_path: Path) -> None:
    store = Store(tmp_path)
    late = EPOCH + 5
    base = of(
        {
            "etc/a": text("1", mtime=late),
            "etc/b": Node("hardlink", 0o644, target="etc/a"),
            "tmp/of-base": text("2", mtime=late),
            "var/log/dpkg.log": text("3"),
            "gone": text("4"),
        }
    )
    own = {"etc/own": text("5", mtime=late), "tmp/own": text("6"), "etc/a-too": text("7", 0)}
    tree = Tree({**base, **own})
    parameters = {
        "epoch": EPOCH,
        "remove": ["/gone"],
        "certificates": True,
        "scripts": True,
    }
    done = finish.run(job(store, parameters, tree=tree, base=base))
    made = store.load_tree(done["tree"])
    assert made == Tree(
        {
            **base.without(["gone"]),
            "etc/own": text("5", mtime=EPOCH),
            "etc/a-too": text("7", mtime=EPOCH),
        }
    )


def test_no_two_machines_have_the_identity_of_the_base() -> None:
    base = of({"etc/machine-id": text("0123"), "usr/lib/systemd/systemd": text("init")})
    made = base.overlaid(Tree({"etc/machine-id": text("uninitialized\n")}))
    assert with_untouched(made, base, base)["etc/machine-id"] == text("uninitialized\n")
    plain = of({"etc/machine-id": text("0123")})
    assert with_untouched(plain.clamped(1), plain, plain) == plain


def customised(store: Store, base: Tree, **settings: Any) -> Tree:
    given = Settings(epoch=EPOCH, name="app", version="1", **settings)
    parameters = {"settings": msgspec.to_builtins(given)}
    inputs = {"tree": store.add_tree(base), "base": store.add_tree(base), "sources": ()}
    made = Job(store=store, parameters=parameters, inputs=inputs, work=store.root)
    return store.load_tree(customise.run(made)["tree"])


def test_a_base_without_accounts_gets_none_unasked(tmp_path: Path) -> None:
    store, base = Store(tmp_path), of({"app": text("static")})
    assert customised(store, base) == base


def test_accounts_are_found_through_links(tmp_path: Path) -> None:
    store = Store(tmp_path)
    passwd = b"root:x:0:0:root:/root:/bin/sh\n\xff:x:7:7:::\n"
    node = Node("file", 0o600, gid=7, size=len(passwd), digest=store.blobs.add(passwd))
    base = of({"etc/passwd": link("/data/passwd"), "data/passwd": node})
    made = customised(store, base, users={"app": User(uid=1500, home="/srv")})
    assert made["data/passwd"] == node
    found = made["etc/passwd"]
    assert (found.kind, found.mode, found.gid) == ("file", 0o600, 7)
    assert found.digest is not None
    assert store.blobs.read(found.digest) == passwd + b"app:x:1500:1500::/srv:/bin/bash\n"


def test_a_file_that_the_definition_replaces_stays_under_its_other_names(tmp_path: Path) -> None:
    store = Store(tmp_path)
    base = of({"a": text("base"), "b": Node("hardlink", 0o644, target="a")})
    made = customised(store, base, files={"/a": File(text="own")})
    assert made["b"] == text("base")
