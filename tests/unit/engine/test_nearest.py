"""A root made of another one that is there."""

import random
import stat
from pathlib import Path
from typing import Any

import pytest

from osloom.engine.nearest import difference, find_nearest, lay_difference
from osloom.model.tree import Node, Tree
from osloom.store.blobs import Blobs
from osloom.store.roots import make_root
from osloom.store.store import Store


def file(blobs: Blobs, text: str, mode: int = 0o644) -> Node:
    return Node("file", mode, size=len(text), digest=blobs.add(text.encode()))


def seen(root: Path) -> dict[str, Any]:
    """All that a program sees of a root."""
    found: dict[str, Any] = {}
    links: dict[int, list[str]] = {}
    for place in sorted(root.rglob("*")):
        info = place.lstat()
        path = str(place.relative_to(root))
        content: Any = None
        if stat.S_ISLNK(info.st_mode):
            content = str(place.readlink())
        elif stat.S_ISREG(info.st_mode):
            content = place.read_text()
            links.setdefault(info.st_ino, []).append(path)
        found[path] = (info.st_mode, int(info.st_mtime), content)
    return found


def together(root: Path) -> set[tuple[str, ...]]:
    """Which paths are one file, among those that are linked to each other within the root."""
    files: dict[int, list[str]] = {}
    for place in sorted(root.rglob("*")):
        info = place.lstat()
        if stat.S_ISREG(info.st_mode):
            files.setdefault(info.st_ino, []).append(str(place.relative_to(root)))
    return {tuple(one) for one in files.values() if len(one) > 1}


def any_tree(blobs: Blobs, chance: random.Random) -> Tree:
    """Few names, so that kinds meet: what is a file here is a directory or a link there."""
    nodes: dict[str, Node] = {"": Node("dir", 0o755)}
    todo = [""]
    while todo:
        directory = todo.pop()
        for name in "abcd":
            path = f"{directory}/{name}".lstrip("/")
            files = [one for one, node in nodes.items() if node.kind == "file"]
            match chance.choice(("none", "dir", "file", "file", "symlink", "hardlink", "fifo")):
                case "dir":
                    nodes[path] = Node("dir", chance.choice((0o755, 0o700)))
                    if path.count("/") < 2:
                        todo.append(path)
                case "file":
                    # One content each: the store links files that are alike, too.
                    text = f"{path} {chance.choice('xy')}"
                    nodes[path] = file(blobs, text, chance.choice((0o644, 0o755, 0o600)))
                case "symlink":
                    nodes[path] = Node("symlink", 0o777, target=chance.choice("ab"))
                case "hardlink" if files:
                    nodes[path] = Node("hardlink", 0o644, target=chance.choice(files))
                case "fifo":
                    nodes[path] = Node("fifo", 0o644)
    return Tree(nodes)


@pytest.mark.parametrize("seed", range(60))
def test_it_is_as_if_it_had_been_made_anew(tmp_path: Path, seed: int) -> None:
    blobs = Store(tmp_path / "store").blobs
    chance = random.Random(seed)
    before, after = any_tree(blobs, chance), any_tree(blobs, chance)
    made, anew = tmp_path / "made", tmp_path / "anew"
    for root, tree in ((made, before), (anew, after)):
        root.mkdir()
        make_root(tree, root, blobs)
    lay_difference(difference(before, after), made, blobs)
    assert seen(made) == seen(anew)
    assert together(made) == together(anew)
    assert not difference(after, after).removed
    assert not difference(after, after).added


def system(blobs: Blobs, *, version: int, count: int = 400) -> Tree:
    nodes = {"": Node("dir", 0o755), "usr": Node("dir", 0o755)}
    nodes |= {f"usr/{number}": file(blobs, f"file {number}") for number in range(count)}
    nodes["usr/version"] = file(blobs, f"version {version}")
    return Tree(nodes)


def test_the_root_of_the_version_before_is_found(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first, second = (store.add_tree(system(store.blobs, version=one)) for one in (1, 2))
    other = store.add_tree(Tree({"": Node("dir", 0o755), "opt": Node("dir", 0o755)}))
    assert find_nearest(store, second) is None
    store.checkout(other)
    assert find_nearest(store, second) is None
    store.checkout(first)
    found = find_nearest(store, second)
    assert found is not None
    assert found.digest == first
    store.checkout(second)
    assert find_nearest(store, second) is None


def test_a_root_of_which_too_much_differs_is_not_taken(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first = system(store.blobs, version=1)
    more = {f"usr/more-{number}": file(store.blobs, f"{number}") for number in range(40)}
    large = {"usr/large": file(store.blobs, "x" * (17 << 20))}
    store.checkout(store.add_tree(first))
    for added in (more, large):
        assert find_nearest(store, store.add_tree(first.overlaid(Tree(added)))) is None
