"""Recompute content addresses from the content itself.

https://nix.dev/manual/nix/stable/store/store-object/content-address. `check_content_address` has
seen that the address gives the path its name; here it is seen that it is of this content.
"""

import hashlib
from collections.abc import Iterable, Iterator

from osloom.base.errors import FetchError
from osloom.model.closure import StorePath
from osloom.model.nar import Read, write_nar
from osloom.model.store_path import check_content_address, hash_part, parse_content_address
from osloom.model.tree import Tree


def check_content(path: StorePath, tree: Tree, read: Read) -> None:
    """Whether the content address of `path`, if it has one, is of its node in `tree`.

    `read` gives the content of a file in pieces. What the NAR hash has settled is not read again.
    Raises FetchError.
    """
    if path.content_address is None:
        return
    check_content_address(path)
    method, algorithm, digest = parse_content_address(path.content_address)
    itself = path.name in path.references
    if method == "r" and algorithm == "sha256" and not itself:
        return  # The NAR hash is the address.
    place = path.path.lstrip("/")
    if method == "r":
        pieces: Iterable[bytes] = write_nar(tree, place, read)
        found = (
            digest_modulo(pieces, hash_part(path.name), algorithm)
            if itself
            else _digest(pieces, algorithm)
        )
    else:
        node = tree[place]
        if node.kind != "file" or node.mode & 0o111:
            raise FetchError(
                f"cannot trust {path.path}: its content address `{path.content_address}` is of a "
                "plain file, and it is none",
                hint=_HINT,
            )
        assert node.digest is not None
        found = _digest(read(node.digest) if node.size else (), algorithm)
    if found != digest:
        raise FetchError(
            f"cannot trust {path.path}: its content address `{path.content_address}` is of another "
            f"content, {algorithm}:{found}",
            hint=_HINT,
        )


_HINT = "the cache that says so is broken or lies: do not use it"


def _digest(pieces: Iterable[bytes], algorithm: str) -> str:
    found = hashlib.new(algorithm, usedforsecurity=False)
    for piece in pieces:
        found.update(piece)
    return found.hexdigest()


def digest_modulo(pieces: Iterable[bytes], part: str, algorithm: str = "sha256") -> str:
    """The digest, in hexadecimal, of `pieces` with the hash part `part` left out.

    So a path can refer to itself and have a name that depends on its content: each occurrence
    counts as zeros, and the places of all are hashed at the end.
    """
    found = hashlib.new(algorithm, usedforsecurity=False)
    places: list[int] = []
    for piece in _without(pieces, part.encode(), places):
        found.update(piece)
    for place in places:
        found.update(f"|{place}".encode())
    return found.hexdigest()


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
