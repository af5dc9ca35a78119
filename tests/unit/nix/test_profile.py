"""Profiles: the links, and what cannot be in one."""

import json

import pytest

from osloom.base.digest import digest_bytes
from osloom.base.errors import BuildError
from osloom.compose.nix.profile import Profile, make_profile
from osloom.model.tree import Node

DIGITS = "0123456789abcdfghijklmnpqrsvwxyz"


def store_name(name: str) -> str:
    """A base name; the hash part is of no store."""
    number = int(digest_bytes(name.encode())[7:39], 16)
    return "".join(DIGITS[number >> (4 * place) & 31] for place in range(32)) + f"-{name}"


def package(name: str, *paths: str, **links: str) -> dict[str, Node]:
    """A store path with directories, files (their content is their path) and links."""
    root = f"nix/store/{store_name(name)}"
    nodes = {root: Node("dir", 0o555, mtime=1)}
    for path in (*paths, *links):
        parts = path.split("/")
        for count in range(1, len(parts)):
            nodes.setdefault(f"{root}/{'/'.join(parts[:count])}", Node("dir", 0o555, mtime=1))
        data = f"{name} {path}".encode()
        nodes[f"{root}/{path}"] = (
            Node("symlink", 0o777, mtime=1, target=links[path])
            if path in links
            else Node("file", 0o555, mtime=1, size=len(data), digest=digest_bytes(data))
        )
    return nodes


def profile(*packages: dict[str, Node], elements: list[list[str]], beside: bytes = b"") -> Profile:
    files = {path: node for one in packages for path, node in one.items()}
    names = [[store_name(name) for name in one] for one in elements]
    return make_profile(names, files, read=lambda _: beside, add=digest_bytes)


def links(made: Profile) -> dict[str, str]:
    """The profile without its manifest; store paths without hash parts."""
    root = f"nix/store/{made.path.name}"
    return {
        path[len(root) + 1 :]: node.kind if node.kind != "symlink" else f"{node.target[44:]}"
        for path, node in made.tree.items()
        if path != root and not path.endswith("/manifest.json")
    }


def test_what_one_package_has_alone_is_one_link() -> None:
    made = profile(package("a-1", "bin/a", "share/a/x"), elements=[["a-1"]])
    assert links(made) == {"bin": "a-1/bin", "share": "a-1/share"}


def test_directories_of_several_packages_are_directories_of_links() -> None:
    made = profile(
        package("a-1", "bin/a", "share/a/x"),
        package("b-1", "bin/b", "share/b/x", "share/a/y"),
        elements=[["a-1"], ["b-1"]],
    )
    assert links(made) == {
        "bin": "dir",
        "bin/a": "a-1/bin/a",
        "bin/b": "b-1/bin/b",
        "share": "dir",
        "share/a": "dir",
        "share/a/x": "a-1/share/a/x",
        "share/a/y": "b-1/share/a/y",
        "share/b": "b-1/share/b",
    }


def test_the_package_that_is_named_first_goes_first_and_that_is_said() -> None:
    both = package("b-1", "bin/x", "bin/b"), package("a-1", "bin/x", "bin/a")
    made = profile(*both, elements=[["b-1"], ["a-1"]])
    assert links(made)["bin/x"] == "b-1/bin/x"
    assert made.notes == (
        "1 of the files of `a-1` give way to those of `b-1`, which `nix` names first",
    )
    assert links(profile(*both, elements=[["a-1"], ["b-1"]]))["bin/x"] == "a-1/bin/x"


def test_a_package_that_is_a_file_is_named() -> None:
    file = {f"nix/store/{store_name('note')}": Node("file", 0o444, mtime=1)}
    made = profile(file, package("a-1", "bin/a"), elements=[["note"], ["a-1"]])
    assert links(made) == {"bin": "a-1/bin"}
    place = f"/nix/store/{store_name('note')}"
    assert made.notes == (f"`note` is a file: it is at {place} alone",)


def test_directories_through_links_are_seen() -> None:
    joined = package("joined-1", "lib/z", bin=f"/nix/store/{store_name('a-1')}/bin")
    made = profile(
        package("a-1", "bin/a"), package("b-1", "bin/b"), joined, elements=[["joined-1"], ["b-1"]]
    )
    assert links(made) == {
        "bin": "dir",
        "bin/a": "joined-1/bin/a",
        "bin/b": "b-1/bin/b",
        "lib": "joined-1/lib",
    }


def test_what_is_of_no_use_in_a_profile_is_left_out() -> None:
    made = profile(
        package(
            *("a-1", "bin/a", "nix-support/setup-hook", "share/info/dir", "share/info/a.info"),
            *(".hidden", "manifest.json", "log"),
            dangling="/nowhere",
        ),
        package("b-1", "share/info/b.info"),
        elements=[["a-1"], ["b-1"]],
    )
    assert links(made) == {
        "bin": "a-1/bin",
        "share": "dir",
        "share/info": "dir",
        "share/info/a.info": "a-1/share/info/a.info",
        "share/info/b.info": "b-1/share/info/b.info",
    }


def test_packages_that_others_want_beside_them_come_last() -> None:
    wanted = f"/nix/store/{store_name('b-1')}\n".encode()
    made = profile(
        package("a-1", "bin/a", "bin/x", "nix-support/propagated-user-env-packages"),
        package("b-1", "bin/b", "bin/x"),
        elements=[["a-1"]],
        beside=wanted,
    )
    assert links(made) == {
        "bin": "dir",
        "bin/a": "a-1/bin/a",
        "bin/b": "b-1/bin/b",
        "bin/x": "a-1/bin/x",
    }


@pytest.mark.parametrize(
    ("one", "other", "elements", "expected"),
    [
        (
            package("a-1", "bin/x"),
            package("b-1", "bin/x/y"),
            [["a-1"], ["b-1"]],
            "cannot make a profile of `a-1` and `b-1`: both have `bin/x`, and not the same",
        ),
        (
            package("a-1", "bin/a") | package("c-1", "bin/c"),
            package("b-1", "bin"),
            [["a-1"], ["c-1"], ["b-1"]],
            "cannot make a profile of `a-1` and `b-1`: both have `bin`, and not the same",
        ),
        (
            package("c-1", "bin/x"),
            package("c-1-bin", "bin/x"),
            [["c-1", "c-1-bin"]],
            "cannot make a profile of `c-1` and `c-1-bin`: both have `bin/x`, and not the same",
        ),
    ],
)
def test_packages_that_contradict_each_other_are_both_named(
    one: dict[str, Node], other: dict[str, Node], elements: list[list[str]], expected: str
) -> None:
    with pytest.raises(BuildError) as caught:
        profile(one, other, elements=elements)
    assert caught.value.message == expected
    assert caught.value.hint == "leave one of the packages out"


def test_the_manifest_is_one_of_nix() -> None:
    parts = [package(name, f"bin/{name}") for name in ("a-1", "tool-2", "tool-2-doc", "tool-3")]
    elements = [["tool-2", "tool-2-doc"], ["tool-3"], ["a-1"]]
    kept: dict[str, bytes] = {}

    def add(data: bytes) -> str:
        kept[digest_bytes(data)] = data
        return digest_bytes(data)

    files = {path: node for one in parts for path, node in one.items()}
    names = [[store_name(name) for name in one] for one in elements]
    made = make_profile(names, files, read=lambda _: b"", add=add)  # type: ignore[arg-type]
    node = made.tree[f"nix/store/{made.path.name}/manifest.json"]
    whole = json.loads(kept[str(node.digest)])
    assert whole["version"] == 3
    assert {
        name: (one["priority"], len(one["storePaths"])) for name, one in whole["elements"].items()
    } == {
        "tool": (5, 2),
        "tool-1": (6, 1),
        "a": (7, 1),
    }
    assert made.path.references == tuple(sorted(name for one in names for name in one))
    assert made.path.content_address is not None
