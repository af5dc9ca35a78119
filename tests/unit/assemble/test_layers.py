"""Layers follow packages: what is in each, and what applying them all gives."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from osloom.assemble.layers import Shipped
from osloom.assemble.layers import split as split_shipped
from osloom.base.digest import digest_bytes
from osloom.model.tree import Node, Tree, with_parents

EPOCH = 100


def file(text: str = "x", *, mtime: int = 5) -> Node:
    data = text.encode()
    return Node("file", 0o644, size=len(data), digest=digest_bytes(data), mtime=mtime)


def package(*paths: str, mtime: int = 5) -> Tree:
    return with_parents({path: file(path, mtime=mtime) for path in paths}, mtime=mtime)


def image(*packages: Tree, mtime: int = EPOCH) -> Tree:
    """The packages merged; directories have a time of the image's own."""
    nodes = {path: node for tree in packages for path, node in tree.items()}
    return Tree(
        (path, msgspec.structs.replace(node, mtime=mtime) if node.kind == "dir" else node)
        for path, node in nodes.items()
    )


def split(tree: Tree, packages: list[Tree], groups: list[int], own: list[str]) -> list[Tree]:
    """The layers of packages `a`, `b` …"""
    names = "abcdefgh"[: len(packages)]
    shipped = [Shipped(*one) for one in zip(names, packages, groups, strict=True)]
    return split_shipped(tree, shipped, own)


def applied(layers: list[Tree]) -> Tree:
    """What an engine has after all layers: later ones replace, directories are merged."""
    nodes: dict[str, Node] = {}
    for layer in layers:
        nodes.update(layer.items())
    return Tree(nodes)


def files(layer: Tree) -> list[str]:
    return [path for path, node in layer.items() if node.kind != "dir"]


A = package("usr/bin/a", "usr/share/doc/a/copyright")
B = package("usr/bin/b", "usr/share/doc/b/copyright", mtime=7)


def test_the_layers_applied_in_order_are_the_image() -> None:
    tree = image(A, B).overlaid(with_parents({"etc/hostname": file(), "app/x": file()}, mtime=9))
    layers = split(tree, [A, B], [0, 1], ["/app"])
    assert [files(layer) for layer in layers] == [files(A), files(B), ["etc/hostname"], ["app/x"]]
    assert applied(layers) == tree


def test_a_layer_is_the_same_whatever_else_the_image_holds() -> None:
    alone = split(image(A), [A], [0], [])
    later = split(image(A, B, mtime=EPOCH + 50), [A, B], [0, 1], [])
    assert alone[0] == later[0] == A


def test_a_new_own_file_changes_the_last_layer_alone() -> None:
    before = image(A).overlaid(with_parents({"app/x": file("old")}, mtime=9))
    after = image(A).overlaid(with_parents({"app/x": file("new")}, mtime=9))
    old, new = (split(tree, [A], [0], ["/app/x"]) for tree in (before, after))
    assert old[:-1] == new[:-1]
    assert applied(new) == after


def test_a_configured_file_is_not_in_the_layer_of_its_package() -> None:
    tree = image(A).overlaid(Tree({"usr/bin/a": file("changed")}))
    lower, configured, own = split(tree, [A], [0], [])
    assert (files(lower), files(configured), files(own)) == (
        ["usr/share/doc/a/copyright"],
        ["usr/bin/a"],
        [],
    )
    assert applied([lower, configured, own]) == tree


def test_a_removed_file_is_in_no_layer() -> None:
    tree = image(A).without(["usr/share"])
    layers = split(tree, [A], [0], [])
    assert applied(layers) == tree


def test_a_package_of_which_only_directories_are_left_has_no_layer() -> None:
    tree = image(A).without(["usr/bin/a", "usr/share/doc/a/copyright"])
    lower, configured, _ = split(tree, [A], [0], [])
    assert lower == Tree()
    assert configured == tree


def test_files_that_the_epoch_made_older_stay_with_their_package() -> None:
    tree = image(A).clamped(3)
    layers = split(tree, [A], [0], [])
    assert files(layers[0]) == files(A)
    assert applied(layers) == tree


def test_paths_below_an_alias_are_found_where_the_image_has_them() -> None:
    shipped = with_parents(
        {
            "bin/dash": file(),
            "bin/sh": Node("symlink", 0o777, mtime=5, target="dash"),
            "bin/same": Node("hardlink", 0o644, mtime=5, target="bin/dash"),
        },
        mtime=5,
    )
    tree = with_parents(
        {
            "bin": Node("symlink", 0o777, target="usr/bin"),
            "usr/bin/dash": file(),
            "usr/bin/sh": Node("symlink", 0o777, mtime=5, target="dash"),
            "usr/bin/same": Node("hardlink", 0o644, mtime=5, target="usr/bin/dash"),
            "usr/bin/own": file("own"),
        },
        mtime=8,
    )
    lower, configured, own = split(tree, [shipped], [0], ["/bin/own"])
    assert files(lower) == ["usr/bin/dash", "usr/bin/same", "usr/bin/sh"]
    assert files(configured) == ["bin"]
    assert files(own) == ["usr/bin/own"]
    assert applied([lower, configured, own]) == tree


def test_a_hard_link_is_with_the_file_that_it_repeats() -> None:
    shipped = with_parents(
        {"usr/bin/a": file(), "usr/bin/b": Node("hardlink", 0o644, target="usr/bin/a")}, mtime=5
    )
    changed = shipped.overlaid(
        Tree({"usr/bin/a": file("new"), "usr/bin/b": Node("hardlink", 0o644, target="usr/bin/a")})
    )
    more = shipped.overlaid(Tree({"usr/bin/c": Node("hardlink", 0o644, target="usr/bin/a")}))
    for tree in (shipped, changed, more):
        layers = split(tree, [shipped], [0], [])
        for layer in layers:
            links = [node.target for node in layer.values() if node.kind == "hardlink"]
            assert set(links) <= set(layer)
        assert applied(layers) == tree


def test_the_mode_of_a_directory_is_the_images() -> None:
    private = Node("dir", 0o700, uid=7, mtime=9)
    tree = image(A).overlaid(Tree({"usr/share/doc": private}))
    layers = split(tree, [A], [0], [])
    assert applied(layers)["usr/share/doc"] == private


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 9)), max_size=24, unique=True))
def test_any_image_is_what_its_layers_give(parts: list[tuple[str, int]]) -> None:
    packages = [
        package(*(f"usr/{name}/{number}" for owner, number in parts if owner == name))
        for name in "abcde"
    ]
    tree = image(*packages).overlaid(
        with_parents({f"etc/{number}": file() for owner, number in parts if owner == "f"}, mtime=6)
    )
    layers = split(tree, packages, [0, 1, 0, 2, 1], ["/etc/1", "/etc/2"])
    assert applied(layers) == tree
    assert sorted(path for layer in layers for path in files(layer)) == files(tree)


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from(["a", "b", "c"]), max_size=6, unique=True),
    st.lists(st.integers(0, 2), min_size=3, max_size=3),
    st.integers(1, 9),
    st.booleans(),
)
def test_nothing_is_lost_of_what_scripts_made(
    configured: list[str], numbers: list[int], mtime: int, repeated: bool
) -> None:
    dense = [sorted(set(numbers)).index(number) for number in numbers]
    packages = [package(f"usr/lib/{name}/{name}.py", mtime=mtime) for name in "abc"]
    made = {f"var/lib/dpkg/info/{name}:amd64.list": file(name) for name in configured}
    made |= {f"usr/lib/{name}/__pycache__/{name}.cpython-313.pyc": file(name) for name in "abcd"}
    made["var/lib/dpkg/status"] = file("status")
    if repeated:
        made["usr/bin/again"] = Node("hardlink", 0o644, target="var/lib/dpkg/status")
        made["usr/bin/more"] = Node("hardlink", 0o644, target="usr/lib/a/a.py")
    tree = image(*packages).overlaid(with_parents(made, mtime=9))
    layers = split(tree, packages, dense, [])
    assert applied(layers) == tree
    assert sorted(path for layer in layers for path in files(layer)) == files(tree)
    for layer in layers:
        links = [node.target for node in layer.values() if node.kind == "hardlink"]
        assert set(links) <= set(layer)


def test_what_dpkg_notes_of_a_package_is_in_its_layer() -> None:
    notes = {f"var/lib/dpkg/info/{name}": file(name) for name in ("a:amd64.list", "b.postinst")}
    rest = {f"var/lib/dpkg/{name}": file(name) for name in ("info/format", "info/x.list", "status")}
    tree = image(A, B).overlaid(with_parents(notes | rest, mtime=9))
    first, second, configured, _ = split(tree, [A, B], [0, 1], [])
    assert set(files(first)) - set(files(A)) == {"var/lib/dpkg/info/a:amd64.list"}
    assert set(files(second)) - set(files(B)) == {"var/lib/dpkg/info/b.postinst"}
    assert files(configured) == sorted(rest)
    assert applied([first, second, configured]) == tree


def test_what_scripts_generate_from_a_file_is_in_the_layer_of_that_file() -> None:
    shipped = package("usr/lib/python3/a.py", "usr/bin/systemd-hwdb")
    made = {
        "usr/lib/python3/__pycache__/a.cpython-313.pyc": file("compiled"),
        "usr/lib/python3/__pycache__/gone.cpython-313.pyc": file("compiled"),
        "usr/lib/udev/hwdb.bin": file("made"),
    }
    tree = image(shipped).overlaid(with_parents(made, mtime=9))
    lower, configured, _ = split(tree, [shipped], [0], [])
    assert files(configured) == ["usr/lib/python3/__pycache__/gone.cpython-313.pyc"]
    assert applied([lower, configured]) == tree


def test_a_file_that_only_changed_hands_stays_with_its_package() -> None:
    changed = msgspec.structs.replace(A["usr/bin/a"], mode=0o2755, gid=42)
    tree = image(A).overlaid(Tree({"usr/bin/a": changed}))
    lower, configured, _ = split(tree, [A], [0], [])
    assert (lower["usr/bin/a"], files(configured)) == (changed, [])
