"""Digests: `sha256:` and 64 hexadecimal digits, of bytes or of canonical JSON.

A part of such bytes has one too, without being hashed: `sha256:…+4096+512` are the 512 bytes that
begin at byte 4096 of what has the digest `sha256:…`.
"""

import hashlib
import json
import uuid
from typing import Any, NamedTuple, NewType

Digest = NewType("Digest", str)

_PREFIX = "sha256:"


def digest_bytes(data: bytes | memoryview) -> Digest:
    return Digest(_PREFIX + hashlib.sha256(data).hexdigest())


def digest_json(value: Any) -> Digest:
    """The digest of a JSON value in canonical form: sorted keys, no spaces, UTF-8."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return digest_bytes(text.encode())


def from_hex(hexadecimal: str) -> Digest:
    return Digest(_PREFIX + hexadecimal)


def to_hex(digest: Digest) -> str:
    return digest[len(_PREFIX) :]


class Part(NamedTuple):
    """What the digest of a part says."""

    whole: Digest
    start: int
    size: int
    """Bytes."""


def digest_part(whole: Digest, start: int, size: int) -> Digest:
    return Digest(f"{whole}+{start}+{size}")


def as_part(digest: Digest) -> Part | None:
    """None for the digest of something whole."""
    whole, *numbers = digest.split("+")
    if not numbers:
        return None
    start, size = map(int, numbers)
    return Part(Digest(whole), start, size)


def is_digest(text: str) -> bool:
    digits = text[len(_PREFIX) :]
    return text.startswith(_PREFIX) and len(digits) == 64 and set(digits) <= set("0123456789abcdef")


def derive_uuid(*parts: str) -> uuid.UUID:
    """A UUID (version 8, RFC 9562) that depends on `parts` alone."""
    raw = bytearray(hashlib.sha256("\0".join(parts).encode()).digest()[:16])
    raw[6] = (raw[6] & 0x0F) | 0x80
    raw[8] = (raw[8] & 0x3F) | 0x80
    return uuid.UUID(bytes=bytes(raw))
