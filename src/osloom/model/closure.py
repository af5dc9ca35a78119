"""A path of a Nix store and its closure, as the lock has them.

https://nix.dev/manual/nix/stable/store/store-path and store-object
"""

from collections.abc import Iterable, Mapping

import msgspec

from osloom.base.digest import Digest
from osloom.model.graph import retained

STORE = "/nix/store"


class StorePath(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One path of a Nix store, exactly: what its narinfo says, but for where its archive lies."""

    name: str
    """Its base name: `<32 characters>-<name>`."""
    nar_hash: Digest
    """SHA-256 of its NAR, in hexadecimal as all digests here."""
    nar_size: int
    """Bytes of its NAR."""
    references: tuple[str, ...] = ()
    """Base names of the paths that it refers to, sorted; its own among them where it does."""
    deriver: str | None = None
    """Base name of the derivation that it was built by."""
    signatures: tuple[str, ...] = ()
    """`KEY:BASE64` each, over the fingerprint of the path."""
    content_address: str | None = None
    """As narinfo has it: `fixed:r:sha256:…`, `text:sha256:…`; such a path needs no signature."""
    caches: tuple[str, ...] = ()
    """Addresses of the binary caches that had it when it was locked; none: it is only here."""

    @property
    def path(self) -> str:
        return f"{STORE}/{self.name}"


def is_flake(installable: str) -> bool:
    """Whether it is an attribute of a flake, and not a store path."""
    return not installable.startswith("/nix/")


def closure_of(roots: tuple[str, ...], paths: Mapping[str, StorePath]) -> frozenset[str]:
    """The base names of `roots` and all that they refer to, at any distance."""
    todo, found = list(roots), set[str]()
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo.extend(paths[name].references)
    return frozenset(found)


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What a closure has of one path, or of all the paths that were asked for together."""

    size: int
    """Bytes of the NARs of it and of all that it refers to."""
    saved: int
    """Bytes of the NARs that would not be needed without it."""


def weigh(
    asked: Mapping[str, tuple[str, ...]], paths: Mapping[str, StorePath]
) -> tuple[dict[str, Part], dict[str, Part]]:
    """What each of `asked` costs, which are base names by what they were asked for as; and each
    path of their closure."""
    # Neither is the name of a store path: what was asked for are nodes above the paths.
    start, groups = "/", {f"/{name}": names for name, names in asked.items()}

    def edges(node: str) -> Iterable[str]:
        if node == start:
            return groups
        return groups[node] if node in groups else paths[node].references

    saved = retained(start, edges, lambda node: paths[node].nar_size if node in paths else 0)
    reached: dict[str, frozenset[str]] = {}
    # What a node refers to comes before it, but for circles, which Nix does not make.
    for node in saved:
        others = [name for name in edges(node) if name != node]
        if all(name in reached for name in others):
            reached[node] = frozenset({node}).union(*(reached[name] for name in others))
        else:
            reached[node] = closure_of((node,), paths)

    def part(node: str) -> Part:
        size = sum(paths[name].nar_size for name in reached[node] if name in paths)
        return Part(size=size, saved=saved[node])

    whole = {name: part(f"/{name}") for name in asked}
    return whole, {node: part(node) for node in sorted(saved) if node in paths}
