"""A path of a Nix store and its closure, as the lock has them.

https://nix.dev/manual/nix/stable/store/store-path and store-object
"""

from collections.abc import Mapping

import msgspec

from osloom.base.digest import Digest

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


def closure_of(roots: tuple[str, ...], paths: Mapping[str, StorePath]) -> frozenset[str]:
    """The base names of `roots` and all that they refer to, at any distance."""
    todo, found = list(roots), set[str]()
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo.extend(paths[name].references)
    return frozenset(found)
