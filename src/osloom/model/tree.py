"""The tree: an immutable, ordered map from path to node. The one value that flows through everything.

A path is text without a leading slash (`usr/bin/env`); the root itself is the empty path and may
be left out. Names and targets that are not UTF-8 travel as surrogate escapes (PEP 383). Sorting
paths as text puts every directory before what is in it.
"""

from collections.abc import Callable, ItemsView, Iterable, Iterator, Mapping
from typing import Literal

import msgspec
from msgspec.structs import replace

from osloom.base.digest import Digest, digest_bytes
from osloom.base.errors import Error

Kind = Literal["file", "dir", "symlink", "hardlink", "char", "block", "fifo"]

MAGIC = b"osloom-tree-1\n"
_MAX_LINKS = 40  # as in the kernel, path_resolution(7)


class Node(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One path of a tree."""

    kind: Kind
    mode: int
    """Permission bits with setuid, setgid and sticky: 0o4755."""
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    """Seconds since 1970."""
    size: int = 0
    """Bytes, of a file."""
    digest: Digest | None = None
    """Of a file's content."""
    target: str = ""
    """Where a symbolic link points, or the path in this tree that a hard link repeats."""
    device: tuple[int, int] = (0, 0)
    """Major and minor number, of a device."""
    xattrs: tuple[tuple[str, bytes], ...] = ()
    """Sorted by name."""


class TreeError(Error):
    """A tree cannot hold what was asked of it."""


class Tree(Mapping[str, Node]):
    """See the module. Iteration is in path order; equality is by content."""

    __slots__ = ("_digest", "_nodes")

    def __init__(self, nodes: Mapping[str, Node] | Iterable[tuple[str, Node]] = ()) -> None:
        items = nodes.items() if isinstance(nodes, Mapping) else nodes
        self._nodes: dict[str, Node] = dict(sorted(items))
        self._digest: Digest | None = None

    def __getitem__(self, path: str) -> Node:
        return self._nodes[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._nodes)

    def __len__(self) -> int:
        return len(self._nodes)

    # Mapping's own looks every path up; this is asked of every tree of every step.
    def items(self) -> ItemsView[str, Node]:
        return self._nodes.items()

    def __hash__(self) -> int:
        return hash(self.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tree) and self._nodes == other._nodes

    @property
    def digest(self) -> Digest:
        if self._digest is None:
            self._digest = digest_bytes(encode(self))
        return self._digest

    @property
    def size(self) -> int:
        """Bytes in all files, each hard link counted once."""
        return sum(node.size for node in self._nodes.values() if node.kind == "file")

    def overlaid(self, upper: "Tree") -> "Tree":
        """This tree with `upper` on top; what is in the way of a non-directory goes."""
        nodes = dict(self._nodes)
        for path, node in upper.items():
            below = nodes.get(path)
            if below is not None and below.kind == "dir" and node.kind != "dir":
                _drop(nodes, path)
            nodes[path] = node
        return Tree(relinked(nodes, self._nodes))

    def without(self, paths: Iterable[str]) -> "Tree":
        """This tree less `paths` and all that is below them."""
        gone = dict.fromkeys(paths, True)

        def is_gone(directory: str) -> bool:
            below = []
            while directory and directory not in gone:
                below.append(directory)
                directory = directory.rpartition("/")[0]
            found = bool(directory) and gone[directory]
            # Asked for once for all that is in them.
            gone.update(dict.fromkeys(below, found))
            return found

        kept = {
            path: node
            for path, node in self._nodes.items()
            if not (gone.get(path) or is_gone(path.rpartition("/")[0]))
        }
        return self if len(kept) == len(self) else Tree(relinked(kept, self._nodes))

    def where(self, keep: Callable[[str, Node], bool]) -> "Tree":
        return Tree((path, node) for path, node in self._nodes.items() if keep(path, node))

    def clamped(self, epoch: int) -> "Tree":
        """This tree with no time later than `epoch`."""
        if all(node.mtime <= epoch for node in self._nodes.values()):
            return self
        return Tree(
            (path, node if node.mtime <= epoch else msgspec.structs.replace(node, mtime=epoch))
            for path, node in self._nodes.items()
        )

    def resolve(self, path: str) -> str:
        """`path` with every symbolic link on its way followed, inside the tree.

        The last component is followed too. Parts that do not exist are kept as they are.
        """
        return resolve_links(self._nodes, path)

    def dump(self) -> dict[str, str]:
        """One line a path, for people and tests."""
        return {"/" + path: describe(node) for path, node in self._nodes.items()}


def relinked(nodes: dict[str, Node], before: Mapping[str, Node]) -> dict[str, Node]:
    """`nodes`, where hard links whose first name is gone or replaced keep the file they were."""
    heirs: dict[str, str] = {}
    for path, node in sorted(nodes.items()):
        first = before.get(node.target) if node.kind == "hardlink" else None
        if first is None or first == nodes.get(node.target) or before.get(path) != node:
            continue
        heir = heirs.setdefault(node.target, path)
        nodes[path] = first if heir == path else msgspec.structs.replace(node, target=heir)
    return nodes


def _drop(nodes: dict[str, Node], path: str) -> None:
    for name in [name for name in nodes if name.startswith(f"{path}/")]:
        del nodes[name]


def resolve_links(nodes: Mapping[str, Node], path: str) -> str:
    """Follow the symbolic links of `path` in `nodes`; `..` never leaves the root."""
    todo = [part for part in path.split("/") if part not in ("", ".")][::-1]
    done: list[str] = []
    links = 0
    while todo:
        part = todo.pop()
        if part == "..":
            if done:
                done.pop()
            continue
        done.append(part)
        node = nodes.get("/".join(done))
        if node is None or node.kind != "symlink":
            continue
        links += 1
        if links > _MAX_LINKS:
            raise TreeError(f"cannot follow `/{path}`: too many levels of symbolic links")
        done = [] if node.target.startswith("/") else done[:-1]
        todo.extend(part for part in reversed(node.target.split("/")) if part not in ("", "."))
    return "/".join(done)


def describe(node: Node) -> str:
    owner = f" {node.uid}:{node.gid}" if node.uid or node.gid else ""
    match node.kind:
        case "file":
            assert node.digest is not None
            return f"file {node.mode:04o}{owner} {node.digest[7:15]}{node.digest[71:]}"
        case "dir" | "fifo":
            return f"{node.kind} {node.mode:04o}{owner}"
        case "symlink":
            return f"symlink{owner} {node.target}"
        case "hardlink":
            return f"hardlink {node.target}"
        case "char" | "block":
            return f"{node.kind} {node.mode:04o}{owner} {node.device[0]}:{node.device[1]}"


_Paths = list[tuple[bytes, Node]]
_BYTES = "\0"
"""Before a target that is not UTF-8, which MessagePack's text has to be: its bytes as Latin-1."""
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Paths)


def encode(tree: Tree) -> bytes:
    """The tree as bytes: a magic line, then MessagePack `[[path, node] …]` in path order."""
    paths = [(path.encode(errors="surrogateescape"), _raw(node)) for path, node in tree.items()]
    return MAGIC + _encoder.encode(paths)


def _raw(node: Node) -> Node:
    target = node.target
    if target.isascii() and target[:1] != _BYTES:
        return node
    raw = target.encode(errors="surrogateescape")
    try:
        plain = target[:1] != _BYTES and raw.decode() == target
    except UnicodeDecodeError:
        plain = False
    return node if plain else replace(node, target=_BYTES + raw.decode("latin-1"))


def decode(data: bytes) -> Tree:
    if not data.startswith(MAGIC):
        raise TreeError("cannot read the tree: it does not start as a tree does")
    paths = _decoder.decode(data[len(MAGIC) :])
    return Tree(
        [
            (
                path.decode(errors="surrogateescape"),
                _own(node) if node.target[:1] == _BYTES else node,
            )
            for path, node in paths
        ]
    )


def _own(node: Node) -> Node:
    raw = node.target[1:].encode("latin-1", errors="replace")
    return replace(node, target=raw.decode(errors="surrogateescape"))


def links_last(tree: Tree) -> Iterator[tuple[str, Node]]:
    """Every path, hard links after all that they may repeat."""
    yield from ((path, node) for path, node in tree.items() if node.kind != "hardlink")
    yield from ((path, node) for path, node in tree.items() if node.kind == "hardlink")


def parents(path: str) -> list[str]:
    """The directories above `path`, outermost first, without the root."""
    parts = path.split("/")[:-1]
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]


def directories(paths: Iterable[str]) -> set[str]:
    """The directories above all of `paths`, without the root."""
    found: set[str] = set()
    for path in paths:
        directory = path.rpartition("/")[0]
        while directory and directory not in found:
            found.add(directory)
            directory = directory.rpartition("/")[0]
    return found


def with_parents(nodes: Mapping[str, Node], *, mtime: int) -> Tree:
    """A tree of `nodes` with a plain directory for every parent that is missing."""
    return Tree(dict.fromkeys(directories(nodes), Node("dir", 0o755, mtime=mtime)) | dict(nodes))
