"""How Nix writes digests: in base 32 in names of store paths and in narinfo, and in three more ways.

https://nix.dev/manual/nix/stable/protocols/nix32: the bytes are one little-endian number, and its
digits stand with the most significant first. The alphabet has no e, o, t and u.
"""

import base64

from osloom.base.digest import Digest, from_hex, to_hex

ALPHABET = "0123456789abcdfghijklmnpqrsvwxyz"
_DIGITS = {letter: number for number, letter in enumerate(ALPHABET)}


def encode32(data: bytes) -> str:
    number = int.from_bytes(data, "little")
    return "".join(
        ALPHABET[number >> (5 * place) & 31] for place in reversed(range(_length(len(data))))
    )


def decode32(text: str) -> bytes:
    """The bytes of `text`. Raises ValueError for what `encode32` never writes."""
    count = len(text) * 5 // 8
    if _length(count) != len(text):
        raise ValueError(f"no bytes have {len(text)} digits in Nix's base 32")
    number = 0
    for letter in text:
        digit = _DIGITS.get(letter)
        if digit is None:
            raise ValueError(f"{letter!r} is not a digit of Nix's base 32")
        number = number << 5 | digit
    if number >> (8 * count):
        raise ValueError(f"`{text}` is more than {count} bytes in Nix's base 32")
    return number.to_bytes(count, "little")


def format_hash(digest: Digest) -> str:
    """A digest as Nix writes it into narinfo and fingerprints: `sha256:` and base 32."""
    return f"sha256:{encode32(bytes.fromhex(to_hex(digest)))}"


def parse_hash(text: str) -> Digest:
    """A SHA-256 as Nix writes it: `sha256:` and base 32, hexadecimal or base 64, or `sha256-` and
    base 64 (https://www.w3.org/TR/SRI). Raises ValueError."""
    separator = text[6:7]
    digits = text[7:]
    if text[:6] != "sha256" or separator not in (":", "-"):
        raise ValueError("it is not `sha256:` and a digest")
    if separator == ":" and len(digits) == 52:
        found = decode32(digits)
    elif separator == ":" and len(digits) == 64:
        found = bytes.fromhex(digits)
    else:
        found = base64.b64decode(digits, validate=True) if len(digits) == 44 else b""
    if len(found) != 32:
        raise ValueError("it is not a digest of SHA-256")
    return from_hex(found.hex())


def _length(count: int) -> int:
    """Digits of `count` bytes."""
    return (count * 8 + 4) // 5
