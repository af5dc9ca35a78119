"""A profile: the links by which packages of a Nix store are found in one place.

It is the store path that `nix profile` itself would make of the same packages, src/nix/profile.cc
and src/libstore/builtins/buildenv.cc of Nix: so Nix can go on from it. What is named first goes
first: each package has a lower priority than those before it.
"""

import json
from collections.abc import Callable, Mapping, Sequence

import msgspec

from osloom.base.digest import Digest, digest_bytes
from osloom.base.errors import BuildError
from osloom.model.closure import STORE, StorePath
from osloom.model.nar import write_nar
from osloom.model.nix32 import format_hash
from osloom.model.nix_package import parse_package_name
from osloom.model.store_path import make_fixed_path, name_part
from osloom.model.tree import Node, Tree, resolve_links

PROFILE = "/nix/var/nix/profiles/default"
_FIRST = 5
"""The priority that `nix profile` gives; a lower number goes first."""
_PROPAGATED = 1000
"""From here on, those of packages that others want beside them."""
_LEFT_OUT = (
    "/propagated-build-inputs",
    "/nix-support",
    "/perllocal.pod",
    "/info/dir",
    "/log",
    "/manifest.nix",
    "/manifest.json",
)
_MTIME = 1


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """A profile as a store path."""

    path: StorePath
    tree: Tree
    """Its nodes, at `nix/store/NAME`."""
    notes: tuple[str, ...] = ()
    """Which packages give way to others: a sentence each."""


class _Links(msgspec.Struct):
    """The links while they are made: for each path its target and priority, None of a directory."""

    files: Mapping[str, Node]
    children: Mapping[str, Sequence[str]]
    made: dict[str, tuple[str, int] | None] = {}
    files_alone: list[str] = []
    """Packages that are one file, of which there is nothing to link to."""
    hidden: dict[tuple[str, str], int] = {}
    """How many files of one store path give way to those of another."""

    def find(self, path: str) -> Node | None:
        """What is at the absolute `path`, its links followed."""
        node = self.files.get(resolve_links(self.files, path))
        return self.files[node.target] if node is not None and node.kind == "hardlink" else node

    def add(self, source: str, place: str, priority: int) -> None:
        """Links to all that is in the directory `source`, for the profile's `place`."""
        for name in self.children.get(resolve_links(self.files, source), ()):
            one = f"{source}/{name}"
            found = self.find(one)
            if name.startswith(".") or one.endswith(_LEFT_OUT) or found is None:
                continue
            self._link(one, found, f"{place}/{name}" if place else name, priority)

    def _link(self, source: str, found: Node, place: str, priority: int) -> None:
        if place not in self.made:
            self.made[place] = (source, priority)
            return
        there = self.made[place]
        if found.kind == "dir":
            if there is not None:
                self._open(place, there, source)
            self.add(source, place, priority)
        elif there is None:
            raise _conflict(source, self._someone(place), place)
        elif there[1] == priority:
            if self.find(there[0]) != found:
                raise _conflict(source, there[0], place)
        else:
            # Those of higher priority came first.
            pair = _package(source), _package(there[0])
            self.hidden[pair] = self.hidden.get(pair, 0) + 1

    def _open(self, place: str, there: tuple[str, int], source: str) -> None:
        """Make a directory of links of what was one link to a directory."""
        below = self.find(there[0])
        if below is None or below.kind != "dir":
            raise _conflict(source, there[0], place)
        self.made[place] = None
        self.add(there[0], place, there[1])

    def _someone(self, place: str) -> str:
        """What is linked to in the directory `place`, for one."""
        inside = (one for path, one in self.made.items() if path.startswith(f"{place}/") and one)
        return next(inside)[0]


def make_profile(
    elements: Sequence[Sequence[str]],
    files: Mapping[str, Node],
    *,
    read: Callable[[Digest], bytes],
    add: Callable[[bytes], Digest],
) -> Profile:
    """The profile of `elements`, each the base names of one package's store paths.

    `files` is the whole closure; `read` and `add` are for contents. Raises BuildError, naming both,
    for packages that cannot be in one profile.
    """
    links = _Links(files, _children(files))
    done: set[str] = set()
    todo: set[str] = set()
    for priority, names in enumerate(elements, _FIRST):
        for name in sorted(names):
            todo |= _add_package(links, name, priority, done, read)
    priority = _PROPAGATED
    while todo := todo - done:
        wanted, todo = sorted(todo), set()
        for name in wanted:
            todo |= _add_package(links, name, priority, done, read)
            priority += 1
    manifest = _manifest(elements)
    nodes = {
        place: Node("dir", 0o555, mtime=_MTIME)
        if one is None
        else Node("symlink", 0o777, mtime=_MTIME, target=one[0])
        for place, one in links.made.items()
    }
    digest = add(manifest)
    nodes["manifest.json"] = Node("file", 0o444, mtime=_MTIME, size=len(manifest), digest=digest)
    nodes[""] = Node("dir", 0o555, mtime=_MTIME)
    path = _store_path(Tree(nodes), elements, manifest)
    root = f"nix/store/{path.name}"
    tree = Tree((f"{root}/{place}" if place else root, node) for place, node in nodes.items())
    return Profile(path=path, tree=tree, notes=_notes(links))


def _add_package(
    links: _Links, name: str, priority: int, done: set[str], read: Callable[[Digest], bytes]
) -> set[str]:
    """Add a store path; gives those that it wants in the profile beside it."""
    if name in done:
        return set()
    done.add(name)
    source = f"{STORE}/{name}"
    whole = links.find(source)
    if whole is not None and whole.kind == "file":
        links.files_alone.append(source)
    links.add(source, "", priority)
    wanted = links.find(f"{source}/nix-support/propagated-user-env-packages")
    text = read(wanted.digest).decode(errors="replace") if wanted and wanted.digest else ""
    names = {one.removeprefix(f"{STORE}/") for one in text.split()}
    return {one for one in names if f"nix/store/{one}" in links.files}


def _store_path(tree: Tree, elements: Sequence[Sequence[str]], manifest: bytes) -> StorePath:
    nar = b"".join(write_nar(tree, "", lambda _: (manifest,)))
    nar_hash = digest_bytes(nar)
    address = f"fixed:r:{format_hash(nar_hash)}"
    references = tuple(sorted({name for names in elements for name in names}))
    return StorePath(
        name=make_fixed_path("profile", address, references),
        nar_hash=nar_hash,
        nar_size=len(nar),
        references=references,
        content_address=address,
    )


def _manifest(elements: Sequence[Sequence[str]]) -> bytes:
    """`manifest.json`, version 3, as `nix profile` writes it for store paths."""
    named: dict[str, object] = {}
    for priority, names in enumerate(elements, _FIRST):
        title = ", ".join(sorted({_drv_name(name) for name in names}))
        free, count = title, 0
        while free in named:
            count += 1
            free = f"{title}-{count}"
        paths = [f"{STORE}/{name}" for name in sorted(names)]
        named[free] = {"active": True, "priority": priority, "storePaths": paths}
    whole = {"elements": named, "version": 3}
    return json.dumps(whole, sort_keys=True, separators=(",", ":")).encode()


def _drv_name(name: str) -> str:
    found = parse_package_name(name)
    return found.package if found.version else name_part(name)


def _children(files: Mapping[str, Node]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path in files:
        parent, _, name = path.rpartition("/")
        found.setdefault(parent, []).append(name)
    return {parent: sorted(names) for parent, names in found.items()}


def _package(path: str) -> str:
    """The name of the package that a file of the store is of."""
    return name_part(path.removeprefix(f"{STORE}/").partition("/")[0])


def _conflict(source: str, other: str, place: str) -> BuildError:
    return BuildError(
        f"cannot make a profile of `{_package(other)}` and `{_package(source)}`: both have "
        f"`{place}`, and not the same",
        hint="leave one of the packages out",
    )


def _notes(links: _Links) -> tuple[str, ...]:
    alone = [f"`{_package(one)}` is a file: it is at {one} alone" for one in links.files_alone]
    hidden = [
        f"{count} of the files of `{package}` give way to those of `{other}`, which `nix` names first"
        for (package, other), count in links.hidden.items()
    ]
    return (*alone, *hidden)
