"""What a read-only system keeps elsewhere: /var, /home, /root and /srv are on the data partition.

The image's own content of them is below /usr/share/factory/var; lines of tmpfiles.d(5) put there
at every boot what is missing. So a first boot, a factory reset and a newer version all find what
they need, and what a device has changed stays. dpkg's database is no state: it says what the
version consists of, and stays with it.
"""

from collections.abc import Iterator, Mapping

import msgspec

from osloom.model.appliance import MOVED
from osloom.model.tree import Node, Tree, directories

FACTORY = "usr/share/factory"
_DPKG = ("var/lib/dpkg", "usr/lib/sysimage/dpkg")
_CACHES = ("var/cache/", "var/lib/apt/", "var/log/", "var/tmp/", "var/backups/")
"""Of these only the directories matter."""


def with_state(tree: Tree, *, epoch: int) -> tuple[Tree, str]:
    """The tree with nothing in /var, and the lines of tmpfiles.d(5) that fill it."""
    nodes: dict[str, Node] = {}
    for path, node in tree.items():
        place = _new_place(path)
        if node.kind == "dir" or not place.startswith(_CACHES):
            if node.kind == "hardlink":
                target = _factory(_new_place(node.target))
                node = msgspec.structs.replace(node, target=target)  # noqa: PLW2901
            nodes[_factory(place)] = node
    for path, target in MOVED.items():
        nodes[path] = Node("symlink", 0o777, mtime=epoch, target=target)
        nodes.setdefault(f"{FACTORY}/{target}", tree.get(path) or Node("dir", 0o755, mtime=epoch))
    nodes["var"] = Node("dir", 0o755, mtime=epoch)
    for parent in directories(nodes):
        nodes.setdefault(parent, Node("dir", 0o755, mtime=epoch))
    made = Tree(nodes)
    return made, "".join(f"{line}\n" for line in _lines(made))


def _new_place(path: str) -> str:
    for old, new in (*MOVED.items(), _DPKG):
        if path == old or path.startswith(f"{old}/"):
            return new + path.removeprefix(old)
    return path


def _factory(path: str) -> str:
    return f"{FACTORY}/{path}" if path.startswith("var/") else path


def _lines(tree: Mapping[str, Node]) -> Iterator[str]:
    yield f"L+ /{_DPKG[0]} - - - - /{_DPKG[1]}"
    start = f"{FACTORY}/var/"
    for path, node in tree.items():
        if not path.startswith(start):
            continue
        place = _quoted("/" + path.removeprefix(f"{FACTORY}/"))
        owner = f"{node.mode:04o} {node.uid} {node.gid} -"
        match node.kind:
            case "dir":
                yield f"d {place} {owner}"
            case "file" | "hardlink":
                yield f"C {place} {owner} {_quoted('/' + path)}"
            case "symlink":
                yield f"L {place} - - - - {node.target.replace('%', '%%')}"
            case _:
                pass


def _quoted(path: str) -> str:
    """As a field of tmpfiles.d(5): specifiers and quotes mean themselves."""
    text = path.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return text if text == path and " " not in path else f'"{text}"'
