"""Package trees become one tree; conflicts are named."""

import pytest

from osloom.base.digest import digest_bytes
from osloom.base.errors import BuildError
from osloom.compose.merge import Claimant, merge, skeleton
from osloom.model.tree import Node, Tree


def text(content: str) -> Node:
    return Node("file", 0o644, size=len(content), digest=digest_bytes(content.encode()))


DIR = Node("dir", 0o755)


def test_two_packages_that_hold_a_file_are_named() -> None:
    packages = [
        Claimant(name="one", tree=Tree({"etc": DIR, "etc/x": text("1")})),
        Claimant(name="two", tree=Tree({"etc": DIR, "etc/x": text("2")})),
    ]
    with pytest.raises(BuildError) as caught:
        merge(packages, base=skeleton())
    assert caught.value.message == "cannot merge `two`: it and `one` both hold `/etc/x`"


def test_a_file_and_a_directory_in_one_place_are_a_conflict() -> None:
    packages = [
        Claimant(name="one", tree=Tree({"opt": DIR, "opt/x": DIR})),
        Claimant(name="two", tree=Tree({"opt": DIR, "opt/x": text("2")})),
    ]
    with pytest.raises(BuildError, match="both hold `/opt/x`"):
        merge(packages, base=skeleton())


@pytest.mark.parametrize("reverse", [False, True])
def test_the_package_that_replaces_the_other_has_the_file(reverse: bool) -> None:
    packages = [
        Claimant(name="old", tree=Tree({"x": text("old")})),
        Claimant(name="new", tree=Tree({"x": text("new")}), replaces=frozenset({"old"})),
    ]
    merged = merge(packages[::-1] if reverse else packages, base=skeleton())
    assert merged.tree["x"] == text("new")
    assert merged.lost == {"old": frozenset({"x"})}


def test_the_same_file_in_two_packages_is_no_conflict() -> None:
    packages = [Claimant(name=name, tree=Tree({"x": text("same")})) for name in ("a", "b")]
    assert merge(packages, base=skeleton()).lost == {}


def test_paths_below_a_link_go_where_it_points() -> None:
    packages = [
        Claimant(name="old", tree=Tree({"lib": DIR, "lib/x": text("1")})),
        Claimant(
            name="link", tree=Tree({"srv": DIR, "srv/a": Node("symlink", 0o777, target="/var")})
        ),
        Claimant(name="below", tree=Tree({"srv": DIR, "srv/a": DIR, "srv/a/y": text("2")})),
    ]
    merged = merge(packages, base=skeleton())
    assert merged.tree["usr/lib/x"] == text("1")
    assert merged.tree["var/y"] == text("2")
    assert merged.places["old"] == {"lib/x": "usr/lib/x"}


def test_a_link_cannot_lead_out_of_the_root() -> None:
    packages = [
        Claimant(name="evil", tree=Tree({"out": Node("symlink", 0o777, target="../../../etc")})),
        Claimant(name="below", tree=Tree({"out": DIR, "out/x": text("2")})),
    ]
    assert merge(packages, base=skeleton()).tree["etc/x"] == text("2")
