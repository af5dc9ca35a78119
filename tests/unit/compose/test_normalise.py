"""Times of a finished tree: the epoch for what was made, but what follows from a package's file."""

import msgspec

from osloom.compose.normalise import left_behind, normalised, own_of, place_of
from osloom.model.tree import Node, Tree, with_parents

EPOCH = 1000


def file(mtime: int) -> Node:
    return Node("file", 0o644, mtime=mtime)


def no_file(data: bytes) -> Node:
    raise AssertionError(data)


def times(nodes: dict[str, Node]) -> dict[str, int]:
    tree = normalised(with_parents(nodes, mtime=0), epoch=EPOCH, add=no_file)
    return {path: tree[path].mtime for path in nodes}


def test_a_hard_link_is_as_old_as_the_file_it_is() -> None:
    link = Node("hardlink", 0o755, target="usr/bin/perl")
    assert times({"usr/bin/perl": file(7), "usr/bin/perl5": link}) == {
        "usr/bin/perl": 7,
        "usr/bin/perl5": 7,
    }


def test_what_is_generated_is_as_old_as_what_it_is_generated_from() -> None:
    source, compiled = "usr/lib/x/a.py", "usr/lib/x/__pycache__/a.cpython-313.pyc"
    assert times({source: file(7), compiled: file(EPOCH + 5)})[compiled] == 7
    assert times({source: file(EPOCH + 5), compiled: file(0)})[compiled] == EPOCH
    assert times({compiled: file(0)})[compiled] == EPOCH


def test_what_a_package_ships_keeps_its_time() -> None:
    source, compiled = "usr/lib/x/a.py", "usr/lib/x/__pycache__/a.cpython-313.pyc"
    assert times({source: file(7), compiled: file(9)})[compiled] == 9


def test_what_scripts_left_goes_and_what_osloom_made_stays() -> None:
    nodes = {
        "run/left/x": file(5),
        "run/own/x": file(5),
        "run/own/sub/y": file(5),
        "tmp/left": file(5),
        "etc/passwd-": file(5),
        "var/run": Node("symlink", 0o777, target="/run"),
    }
    tree = with_parents(nodes, mtime=0)
    assert left_behind(tree, own_of(["run/own"])) == ["etc/passwd-", "run/left", "tmp/left"]
    own = own_of(["run/own/sub", "etc/passwd-", "tmp", "run", "usr/bin/x"])
    assert left_behind(tree, own) == ["run/left", "tmp/left"]


def test_a_pattern_follows_the_links_of_its_directory() -> None:
    nodes = {"usr/bin/dash": file(5), "bin": Node("symlink", 0o777, target="usr/bin")}
    tree = with_parents(nodes, mtime=0)
    assert [place_of(tree, path) for path in ("/bin/dash", "/bin/*", "/bin", "/usr/b*/x")] == [
        "usr/bin/dash",
        "usr/bin/*",
        "bin",
        "usr/b*/x",
    ]


def test_the_rest_is_as_old_as_the_epoch() -> None:
    tree = Tree({"etc/a": file(0), "etc/b": file(EPOCH + 1), "etc/c": file(5)})
    found = normalised(tree, epoch=EPOCH, add=no_file)
    assert found == Tree(
        (path, msgspec.structs.replace(node, mtime=5 if path == "etc/c" else EPOCH))
        for path, node in tree.items()
    )
