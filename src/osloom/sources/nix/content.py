"""Recompute content addresses from the content itself.

https://nix.dev/manual/nix/stable/store/store-object/content-address. `check_content_address` has
seen that the address gives the path its name; here it is seen that it is of this content.
"""

import hashlib
from collections.abc import Iterable, Iterator
from typing import NoReturn

from osloom.base.errors import FetchError
from osloom.model.closure import StorePath
from osloom.model.nar import Chunks, write_nar
from osloom.model.store_path import check_content_address, hash_part, parse_content_address
from osloom.model.tree import Tree


def check_content(path: StorePath, tree: Tree, chunks: Chunks) -> None:
    """Whether the content address of `path`, if it has one, is of its node in `tree`.

    What the NAR hash has settled is not read again. Raises FetchError.
    """
    if path.content_address is None:
        return
    check_content_address(path)
    method, algorithm, digest = parse_content_address(path.content_address)
    itself = path.name in path.references
    if method == "r" and algorithm == "sha256" and not itself:
        return  # The NAR hash is the address.
    place = path.path.lstrip("/")
    if method == "r" and itself:
        found: tuple[str, ...] = digests_modulo(
            write_nar(tree, place, chunks), hash_part(path.name)
        )
    elif method == "r":
        found = (_digest(write_nar(tree, place, chunks), algorithm),)
    else:
        node = tree[place]
        if node.digest is None or node.mode & 0o111:
            _fail(path, "of a plain file, and it is none")
        found = (_digest(chunks(node.digest), algorithm),)
    if digest not in found:
        _fail(path, f"of another content, {algorithm}:{found[0]}")


def _fail(path: StorePath, cause: str) -> NoReturn:
    raise FetchError(
        f"cannot trust {path.path}: its content address `{path.content_address}` is {cause}",
        hint="what says so is broken or lies: do not use it",
    )


def _digest(pieces: Iterable[bytes], algorithm: str) -> str:
    found = hashlib.new(algorithm, usedforsecurity=False)
    for piece in pieces:
        found.update(piece)
    return found.hexdigest()


def digests_modulo(pieces: Iterable[bytes], part: str) -> tuple[str, str]:
    """The SHA-256, in hexadecimal, of `pieces` with the hash part `part` left out, in both ways.

    So a path can refer to itself and have a name that depends on its content: each occurrence
    counts as zeros. Most versions of Nix hash the places of all of them at the end, some (2.26 for
    one) do not, by mistake; paths of both kinds are in caches.
    """
    found = hashlib.sha256()
    places: list[int] = []
    for piece in _without(pieces, part.encode(), places):
        found.update(piece)
    plain = found.hexdigest()
    found.update("".join(f"|{place}" for place in places).encode())
    return found.hexdigest(), plain


def _without(pieces: Iterable[bytes], part: bytes, places: list[int]) -> Iterator[bytes]:
    zeros = bytes(len(part))
    start, rest = 0, b""
    """Where `rest`, the end of what came that may be the beginning of an occurrence, stands."""
    for piece in pieces:
        data = rest + piece
        place = data.find(part)
        while place >= 0:
            places.append(start + place)
            place = data.find(part, place + len(part))
        data = data.replace(part, zeros)
        keep = min(len(part) - 1, len(data))
        yield data[: len(data) - keep]
        rest = data[len(data) - keep :]
        start += len(data) - keep
    yield rest
