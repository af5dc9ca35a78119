"""Whether a path of an image is as a test says: answered from the tree, nothing is started."""

from collections.abc import Callable

from osloom.base.digest import Digest
from osloom.base.errors import UsageError
from osloom.model.definition import Test
from osloom.model.tree import Node, Tree
from osloom.model.user import find_user

Read = Callable[[Digest], bytes]


def file_problem(test: Test, tree: Tree, read: Read) -> str:
    """Why the check of `test.file` fails; empty when it does not. Links are followed."""
    assert test.file is not None
    path = tree.resolve(test.file)
    node = tree.get(path)
    if node is not None and node.kind == "hardlink":
        node = tree[node.target]
    if test.absent:
        return f"{test.file} is there" if node is not None or _is_link(tree, test.file) else ""
    if node is None:
        return f"{test.file} is not there"
    found = (_mode(test, node), _owner(test, node, tree, read), _content(test, node, read))
    return "; ".join(one for one in found if one)


def _is_link(tree: Tree, path: str) -> bool:
    """Whether the path itself is there, although what it points at is not."""
    parent, _, name = path.rstrip("/").rpartition("/")
    return f"{tree.resolve(parent)}/{name}".lstrip("/") in tree


def _mode(test: Test, node: Node) -> str:
    if test.mode is None or int(test.mode, 8) == node.mode:
        return ""
    return f"its mode is {node.mode:04o}, not {int(test.mode, 8):04o}"


def _owner(test: Test, node: Node, tree: Tree, read: Read) -> str:
    if test.owner is None:
        return ""
    try:
        who = find_user(
            test.owner, passwd=_text(tree, read, "passwd"), group=_text(tree, read, "group")
        )
    except UsageError:
        return f"the image has no user `{test.owner}`"
    if node.uid == who.uid and (":" not in test.owner or node.gid == who.gid):
        return ""
    return f"its owner is {node.uid}:{node.gid}, not {test.owner}"


def _text(tree: Tree, read: Read, name: str) -> str:
    node = tree.get(tree.resolve(f"etc/{name}"))
    return read(node.digest).decode(errors="replace") if node and node.digest else ""


def _content(test: Test, node: Node, read: Read) -> str:
    if test.contains is None:
        return ""
    if node.digest is None:
        return f"it is a {node.kind}, which contains no text"
    found = test.contains.encode() in read(node.digest)
    return "" if found else f"it does not contain `{test.contains}`"
