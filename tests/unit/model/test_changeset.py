"""Layers on trees: what the image specification says of whiteouts, and what engines do of links."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osloom.base.digest import digest_bytes
from osloom.model.changeset import apply_layer, difference
from osloom.model.tree import Node, Tree, TreeError, parents, with_parents

EPOCH = 1000
_NAMES = ("a", "b", "lib", "x")


def file(text: str = "", mode: int = 0o644) -> Node:
    return Node("file", mode, mtime=5, size=len(text), digest=digest_bytes(text.encode()))


def link(target: str) -> Node:
    return Node("symlink", 0o777, target=target)


def hard(target: str) -> Node:
    return Node("hardlink", 0o644, target=target)


def of(nodes: dict[str, Node]) -> Tree:
    return with_parents(nodes, mtime=1)


WHITEOUT = file()
DIRECTORY = Node("dir", 0o755, mtime=1)


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    """Any tree of few names, so that two of them have much in common."""
    nodes: dict[str, Node] = {}
    paths = st.lists(st.sampled_from(_NAMES), min_size=1, max_size=3).map("/".join)
    for path in sorted(draw(st.lists(paths, max_size=8, unique=True))):
        if any(nodes.get(above, DIRECTORY).kind != "dir" for above in parents(path)):
            continue
        kind = draw(st.sampled_from(("file", "dir", "symlink", "hardlink", "fifo")))
        files = [one for one, node in nodes.items() if node.kind == "file"]
        if kind == "hardlink" and files:
            target = draw(st.sampled_from(files))
            nodes[path] = Node("hardlink", nodes[target].mode, target=target)
        elif kind == "dir":
            nodes[path] = Node("dir", draw(st.sampled_from((0o755, 0o700))), mtime=1)
        elif kind == "symlink":
            nodes[path] = link(draw(st.sampled_from(_NAMES)))
        elif kind == "fifo":
            nodes[path] = Node("fifo", 0o600)
        else:
            nodes[path] = file(draw(st.sampled_from(("", "1", "2"))))
    return with_parents(nodes, mtime=1)


@settings(max_examples=200)
@given(trees(), trees())
def test_the_difference_of_two_trees_makes_the_one_of_the_other(base: Tree, wanted: Tree) -> None:
    layer = difference(base, wanted, mtime=EPOCH)
    assert apply_layer(base, layer) == wanted


@settings(max_examples=100)
@given(trees())
def test_a_tree_differs_from_itself_in_nothing(base: Tree) -> None:
    assert difference(base, base, mtime=EPOCH) == Tree()


@settings(max_examples=200)
@given(trees(), trees())
def test_a_layer_leaves_a_tree_that_can_be_made(lower: Tree, layer: Tree) -> None:
    try:
        made = apply_layer(lower, layer)
    except TreeError:
        return
    for path, node in made.items():
        assert all(made[one].kind == "dir" for one in parents(path))
        if node.kind == "hardlink":
            assert made[node.target].kind == "file"


def test_a_whiteout_hides_what_is_below_and_nothing_beside_it() -> None:
    lower = of({"d/gone": file("1"), "d/gone-not": file("2"), "e/f/g": file("3")})
    layer = of({"d/.wh.gone": WHITEOUT, ".wh.e": WHITEOUT, "d/new": file("4")})
    assert apply_layer(lower, layer) == of({"d/gone-not": file("2"), "d/new": file("4")})


def test_a_whiteout_does_not_hide_what_its_own_layer_holds() -> None:
    lower = of({"d/a": file("old"), "d/b": file("old")})
    layer = of({"d/.wh.a": WHITEOUT, "d/a": file("new"), "d/.wh..wh..opq": WHITEOUT})
    assert apply_layer(lower, layer) == of({"d/a": file("new")})


def test_an_opaque_directory_keeps_nothing_from_below() -> None:
    lower = of({"d/a/b": file("1"), "d/c": file("2"), "e": file("3")})
    layer = of({"d/.wh..wh..opq": WHITEOUT, "d/new": file("4")})
    assert apply_layer(lower, layer) == of({"d/new": file("4"), "e": file("3")})


def test_a_hard_link_repeats_a_file_of_a_layer_below() -> None:
    lower = of({"a": file("1"), "b": hard("a")})
    made = apply_layer(lower, Tree({"c": hard("b"), "d": hard("c")}))
    assert made == Tree({"a": file("1"), "b": hard("a"), "c": hard("a"), "d": hard("a")})


def test_a_name_keeps_its_file_when_the_other_name_is_hidden_or_replaced() -> None:
    lower = Tree({"a": file("1"), "b": hard("a"), "c": hard("a")})
    assert apply_layer(lower, Tree({".wh.a": WHITEOUT})) == Tree({"b": file("1"), "c": hard("b")})
    made = apply_layer(lower, Tree({"a": file("2"), "c": hard("a")}))
    assert made == Tree({"a": file("2"), "b": file("1"), "c": hard("a")})


def test_what_a_link_leads_to_is_where_things_go() -> None:
    lower = of({"lib": link("usr/lib"), "usr/lib/old": file("1"), "usr/lib/other": file("2")})
    layer = Tree({"lib/new": file("3"), "lib/.wh.old": WHITEOUT})
    made = apply_layer(lower, layer)
    assert made == of(
        {"lib": link("usr/lib"), "usr/lib/other": file("2"), "usr/lib/new": file("3")}
    )


def test_a_directory_takes_the_place_of_a_link_and_does_not_reach_through_it() -> None:
    lower = of({"lib": link("usr/lib"), "usr/lib/old": file("1")})
    layer = of({"lib": DIRECTORY, "lib/.wh..wh..opq": WHITEOUT, "lib/new": file("2")})
    assert apply_layer(lower, layer) == of({"usr/lib/old": file("1"), "lib/new": file("2")})


def test_a_file_takes_the_place_of_a_directory_and_the_other_way_round() -> None:
    lower = of({"d/a/b": file("1"), "f": file("2")})
    made = apply_layer(lower, of({"d": file("3"), "f/g": file("4")}))
    assert made == of({"d": file("3"), "f/g": file("4")})


def test_a_directory_on_a_directory_changes_it_and_keeps_what_is_in_it() -> None:
    private = Node("dir", 0o700, mtime=9)
    made = apply_layer(of({"d/a": file("1")}), Tree({"d": private}))
    assert made == Tree({"d": private, "d/a": file("1")})


def test_what_aufs_kept_for_itself_is_not_there() -> None:
    layer = of({".wh..wh.plnk/1.2": file(), ".wh..wh.aufs": WHITEOUT, "a": file("1")})
    assert ".wh..wh.aufs" not in apply_layer(Tree(), layer)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ({"d/.wh...": WHITEOUT}, "cannot apply the whiteout `/d/.wh...`: it hides no name"),
        ({"d/.wh.": WHITEOUT}, "cannot apply the whiteout `/d/.wh.`: it hides no name"),
        ({"new": hard("none")}, "cannot link `/new` to `/none`: nothing is there"),
        ({"new": hard("d")}, "cannot link `/new` to `/d`: a directory is there"),
        ({"new": hard("new")}, "cannot link `/new` to `/new`: nothing is there"),
        ({"p": hard("q"), "q": hard("p")}, "cannot link `/p` to `/q`: nothing is there"),
        ({"f/x": file()}, "cannot put anything into `/f`: it is not a directory"),
        ({"f": DIRECTORY, "l/x": file()}, None),
    ],
)
def test_a_layer_that_makes_no_sense(layer: dict[str, Node], message: str | None) -> None:
    lower = of({"d/a": file("1"), "f": file("2"), "l": link("../../f")})
    if message is None:
        assert "f/x" in apply_layer(lower, Tree(layer))
        return
    with pytest.raises(TreeError) as caught:
        apply_layer(lower, Tree(layer))
    assert caught.value.message == message


def test_links_never_leave_the_root() -> None:
    lower = Tree({"up": link("../../../etc")})
    made = apply_layer(lower, Tree({"up/passwd": file("1")}))
    assert made["etc/passwd"] == file("1")


def test_links_in_a_circle_end() -> None:
    lower = Tree({"a": link("b"), "b": link("a")})
    with pytest.raises(TreeError):
        apply_layer(lower, Tree({"a/x": file()}))


def test_a_name_that_only_a_whiteout_may_have() -> None:
    with pytest.raises(TreeError) as caught:
        difference(Tree(), of({"d/.wh.a": file()}), mtime=EPOCH)
    said = "cannot put `/d/.wh.a` into a layer: its name is that of a whiteout"
    assert caught.value.message == said
