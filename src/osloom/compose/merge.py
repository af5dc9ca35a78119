"""Merge package trees into one tree; two packages that claim a path are a conflict.

Paths are made canonical first: where one package ships `lib/x` and another the symbolic link
`lib -> usr/lib`, the file is `usr/lib/x`, as it would be on disk.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from osloom.base.errors import BuildError
from osloom.model.tree import Node, Tree, directories, resolve_links

_MERGED_USR = ("bin", "sbin", "lib", "lib64")
"""Links to the same name below /usr, https://wiki.debian.org/UsrMerge."""

_DIRECTORIES = {
    "dev": 0o755,
    "etc": 0o755,
    "mnt": 0o755,
    "proc": 0o755,
    "run": 0o755,
    "sys": 0o755,
    "tmp": 0o1777,
    "usr": 0o755,
    "usr/bin": 0o755,
    "usr/lib": 0o755,
    "usr/lib64": 0o755,
    "usr/sbin": 0o755,
    "var": 0o755,
    "var/tmp": 0o1777,
}


class Claimant(msgspec.Struct, frozen=True, kw_only=True):
    """A package as the merge sees it."""

    name: str
    tree: Tree
    replaces: frozenset[str] = frozenset()
    """Names of packages whose files this one may take."""


class Merged(msgspec.Struct, frozen=True):
    tree: Tree
    owners: Mapping[str, str]
    """Which package each path that is not a directory came from."""
    places: Mapping[str, Mapping[str, str]]
    """For each package, where its own paths ended up when that differs."""
    lost: Mapping[str, frozenset[str]]
    """For each package, the places that another one took because it replaces it."""


def skeleton() -> Tree:
    """What every root has before the first package: merged /usr and the mount points."""
    nodes = {path: Node("dir", mode) for path, mode in _DIRECTORIES.items()}
    nodes |= {name: Node("symlink", 0o777, target=f"usr/{name}") for name in _MERGED_USR}
    return Tree(nodes)


def merge(claimants: Sequence[Claimant], *, base: Tree) -> Merged:
    """`base` with every package's tree on it. Raises BuildError that names both claimants."""
    canonical = _Canonical(base, (claimant.tree for claimant in claimants))
    nodes = dict(base.items())
    owners: dict[str, Claimant] = {}
    places: dict[str, dict[str, str]] = {}
    lost: dict[str, set[str]] = {}
    for claimant in claimants:
        moved = places[claimant.name] = {}
        for path, shipped in claimant.tree.items():
            place = canonical.place(path)
            if place != path:
                moved[path] = place
            node = canonical.retargeted(shipped)
            loser = _loser(place, node, nodes, claimant, owners)
            if loser is not None:
                lost.setdefault(loser, set()).add(place)
            if loser == claimant.name or _stays(place, node, nodes):
                continue
            nodes[place] = node
            if node.kind != "dir":
                owners[place] = claimant
    _add_parents(nodes)
    return Merged(
        tree=Tree(nodes),
        owners={path: owner.name for path, owner in owners.items()},
        places=places,
        lost={name: frozenset(paths) for name, paths in lost.items()},
    )


class _Canonical:
    """Where paths end up, given every symbolic link of every package."""

    def __init__(self, base: Tree, trees: Iterable[Tree]) -> None:
        links = {path: node for path, node in base.items() if node.kind == "symlink"}
        for tree in trees:
            links.update((path, node) for path, node in tree.items() if node.kind == "symlink")
        self._links = links
        self._directories: dict[str, str] = {"": ""}

    def place(self, path: str) -> str:
        parent, _, name = path.rpartition("/")
        found = self._directories.get(parent)
        if found is None:
            found = self._directories[parent] = resolve_links(self._links, parent)
        return f"{found}/{name}" if found else name

    def retargeted(self, node: Node) -> Node:
        """`node` with the path that a hard link repeats in its place."""
        if node.kind != "hardlink":
            return node
        return msgspec.structs.replace(node, target=self.place(node.target))


def _stays(place: str, node: Node, nodes: Mapping[str, Node]) -> bool:
    """Whether what is at `place` is as good as `node`, or goes before it.

    A link to a directory stays, as dpkg leaves it; what is below goes where it points.
    """
    there = nodes.get(place)
    if there is None:
        return False
    if node.kind == "dir":
        return there.kind == "symlink" or place in _DIRECTORIES
    return _same_content(node, there)


def _loser(
    place: str,
    node: Node,
    nodes: Mapping[str, Node],
    claimant: Claimant,
    owners: Mapping[str, Claimant],
) -> str | None:
    """Which of two packages gives `place` up, if both hold it and one replaces the other."""
    there, owner = nodes.get(place), owners.get(place)
    if there is None or node.kind == "dir" or _same_content(node, there):
        return None
    if there.kind == "dir":
        raise _conflict(place, claimant, "another package, as a directory,")
    if owner is None:
        return None
    if owner.name in claimant.replaces:
        return owner.name
    if claimant.name in owner.replaces:
        return claimant.name
    raise _conflict(place, claimant, f"`{owner.name}`")


def _same_content(one: Node, other: Node) -> bool:
    """Packages for several architectures share files that differ in time alone."""
    return (one.kind, one.digest, one.target, one.mode) == (
        other.kind,
        other.digest,
        other.target,
        other.mode,
    )


def _conflict(place: str, claimant: Claimant, other: str) -> BuildError:
    return BuildError(
        f"cannot merge `{claimant.name}`: it and {other} both hold `/{place}`",
        hint="leave one of the packages out, or tell the maintainers: one has to replace the other",
    )


def _add_parents(nodes: dict[str, Node]) -> None:
    for path in directories(nodes):
        nodes.setdefault(path, Node("dir", 0o755))
