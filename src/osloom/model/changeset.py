"""What one layer of an OCI image does to the tree below it, and the layer that makes a tree of it.

https://github.com/opencontainers/image-spec/blob/main/layer.md

A layer is a tree too: names that start with `.wh.` are whiteouts, and say what of the layers below
is gone.
"""

import posixpath
from collections.abc import Iterable, Iterator

from osloom.base.digest import digest_bytes
from osloom.model.tree import Node, Tree, TreeError, parents, relinked, resolve_links

_PREFIX = ".wh."
_OPAQUE = ".wh..wh..opq"
_METADATA = ".wh..wh."
"""What aufs kept for itself: engines skip it, and so does this."""
_PLAIN = Node("dir", 0o755)
_NOTHING = digest_bytes(b"")


def apply_layer(lower: Tree, layer: Tree) -> Tree:
    """`lower` as a container sees it with `layer` on top.

    Whiteouts hide what is in `lower`, never what `layer` itself holds. What a link leads to is
    where things go, as when an archive is unpacked inside the root. Raises TreeError.
    """
    root = _Root(lower)
    links: dict[str, str] = {}
    for directory, entries in sorted(_by_directory(layer).items()):
        place = root.directory(directory)
        below = f"{place}/" if place else ""
        for gone in _hidden(entries, directory):
            root.hide(below, gone)
        for name, node in sorted(entries.items()):
            if name.startswith(_PREFIX):
                continue
            if node.kind == "hardlink":
                root.make_room(below + name, node)
                links[below + name] = node.target
            else:
                root.put(below + name, node)
    # First what `lower` linked to and is replaced now: the other names keep the file it was.
    root.nodes = relinked(root.nodes, lower)
    targets = {path: root.place(target) for path, target in links.items()}
    for path in sorted(targets):
        root.put(path, _link(path, targets, root))
    return Tree(root.nodes)


def _by_directory(layer: Tree) -> dict[str, dict[str, Node]]:
    found: dict[str, dict[str, Node]] = {}
    for path, node in layer.items():
        if path:
            directory, name = posixpath.split(path)
            found.setdefault(directory, {})[name] = node
    return found


def _hidden(entries: dict[str, Node], directory: str) -> Iterator[str]:
    """The names that whiteouts hide; the empty name for all of the directory."""
    for name in entries:
        if name == _OPAQUE:
            yield ""
        elif name.startswith(_PREFIX) and not name.startswith(_METADATA):
            hidden = name.removeprefix(_PREFIX)
            if hidden in ("", ".", ".."):
                raise TreeError(
                    f"cannot apply the whiteout `/{directory}/{name}`: it hides no name"
                )
            yield hidden


def _link(path: str, links: dict[str, str], root: "_Root") -> Node:
    """The node for a hard link of the layer: what it repeats may be in any layer below."""
    target = links[path]
    seen = {path}
    while target in links and target not in seen:
        seen.add(target)
        target = links[target]
    node = root.nodes.get(target)
    if node is not None and node.kind == "hardlink":
        target = node.target
        node = root.nodes.get(target)
    if node is None or node.kind == "dir" or target == path:
        what = "a directory" if node is not None and node.kind == "dir" else "nothing"
        raise TreeError(f"cannot link `/{path}` to `/{links[path]}`: {what} is there")
    return Node("hardlink", node.mode, target=target) if node.kind == "file" else node


class _Root:
    """The tree while a layer is applied to it. Every path in it is below directories alone."""

    def __init__(self, lower: Tree) -> None:
        self.nodes = dict(lower.items())
        self._children: dict[str, set[str]] = {}
        self._fresh: set[str] = set()
        """What came with the layer."""
        for path in lower:
            if path:
                self._children.setdefault(posixpath.dirname(path), set()).add(path)

    def directory(self, path: str) -> str:
        """Where the directory `path` is, links followed; made when it is not there."""
        place = resolve_links(self.nodes, path)
        for one in (*parents(place), place):
            node = self.nodes.get(one)
            if one and node is None:
                self.put(one, _PLAIN)
            elif node is not None and node.kind != "dir":
                raise TreeError(f"cannot put anything into `/{path}`: it is not a directory")
        return place

    def place(self, path: str) -> str:
        """Where `path` is, its directory's links followed."""
        directory, name = posixpath.split(path)
        return posixpath.join(resolve_links(self.nodes, directory), name)

    def put(self, path: str, node: Node) -> None:
        self.make_room(path, node)
        self.nodes[path] = node
        self._fresh.add(path)
        self._children.setdefault(posixpath.dirname(path), set()).add(path)

    def make_room(self, path: str, node: Node) -> None:
        """A directory stays for a directory; all else makes way."""
        there = self.nodes.get(path)
        if there is None or there.kind == node.kind == "dir":
            return
        self._fresh.discard(path)
        self._remove(path)
        if path in self.nodes:
            raise TreeError(f"cannot put `/{path}`: the layer itself has something below it")

    def hide(self, below: str, name: str) -> None:
        """Remove `name`, or all when it is empty, of a directory, as far as it is of `lower`."""
        if name:
            self._remove(below + name)
        else:
            for path in list(self._children.get(below.rstrip("/"), ())):
                self._remove(path)

    def _remove(self, path: str) -> None:
        found: list[str] = []
        todo = [path] if path in self.nodes else []
        while todo:
            one = todo.pop()
            found.append(one)
            todo.extend(self._children.get(one, ()))
        for one in reversed(found):
            if one not in self._fresh and not self._children.get(one):
                del self.nodes[one]
                self._children[posixpath.dirname(one)].discard(one)


def check_names(paths: Iterable[str]) -> None:
    """Raises TreeError for names that only whiteouts may have."""
    for path in paths:
        if posixpath.basename(path).startswith(_PREFIX):
            raise TreeError(
                f"cannot put `/{path}` into a layer: its name is that of a whiteout",
                hint=f"a container would not have it: choose a name without `{_PREFIX}`",
            )


def difference(base: Tree, tree: Tree, *, mtime: int) -> Tree:
    """The layer that makes `tree` of `base`; `mtime`, in seconds, is that of its whiteouts.

    It has the directories above what it changes too. Raises TreeError for names that only
    whiteouts may have.
    """
    changed = {path: node for path, node in tree.items() if path and base.get(path) != node}
    changed |= {
        node.target: tree[node.target] for node in list(changed.values()) if node.kind == "hardlink"
    }
    # All names of a file that is written anew: those left out would keep the one below.
    changed |= {
        path: node
        for path, node in tree.items()
        if node.kind == "hardlink" and node.target in changed
    }
    check_names(changed)
    whiteout = Node("file", 0o644, mtime=mtime, digest=_NOTHING)
    for path in base:
        directory, name = posixpath.split(path)
        parent = tree.get(directory, _PLAIN if not directory else None)
        if path and path not in tree and parent is not None and parent.kind == "dir":
            changed[posixpath.join(directory, _PREFIX + name)] = whiteout
    for path in list(changed):
        for one in parents(path):
            changed.setdefault(one, tree.get(one, _PLAIN))
    return Tree(changed)
