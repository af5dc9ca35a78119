"""NARs by hand, right ones and wrong ones: every part of one is bytes."""

from osloom.base.digest import Digest, digest_bytes
from osloom.model.closure import StorePath

NAME = "00bgd045z0d4icpbc2yyz4gx48ak44la-thing-1.0"
"""Of the path that tests read, where it does not matter which."""


def word(data: bytes) -> bytes:
    return len(data).to_bytes(8, "little") + data + bytes(-len(data) % 8)


def words(*texts: bytes) -> bytes:
    return b"".join(word(text) for text in texts)


def regular(data: bytes, *, executable: bool = False) -> bytes:
    mark = [b"executable", b""] if executable else []
    return words(b"(", b"type", b"regular", *mark, b"contents", data, b")")


def symlink(target: bytes) -> bytes:
    return words(b"(", b"type", b"symlink", b"target", target, b")")


def directory(*entries: tuple[bytes, bytes]) -> bytes:
    """Names and nodes, in this order, whatever it is."""
    inner = [
        words(b"entry", b"(", b"name", name, b"node") + node + word(b")") for name, node in entries
    ]
    return words(b"(", b"type", b"directory") + b"".join(inner) + word(b")")


def nar(node: bytes) -> bytes:
    return word(b"nix-archive-1") + node


def store_path(
    name: str = NAME,
    nar: bytes = b"",
    *,
    references: tuple[str, ...] = (),
    signatures: tuple[str, ...] = (),
    content_address: str | None = None,
    nar_hash: Digest | None = None,
) -> StorePath:
    return StorePath(
        name=name,
        nar_hash=nar_hash or digest_bytes(nar),
        nar_size=len(nar) or 1,
        references=references,
        signatures=signatures,
        content_address=content_address,
    )
