"""Nix's base 32: how Nix writes the digests in names of store paths and in narinfo.

https://nix.dev/manual/nix/stable/protocols/nix32: the bytes are one little-endian number, and its
digits stand with the most significant first. The alphabet has no e, o, t and u.
"""

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


def _length(count: int) -> int:
    """Digits of `count` bytes."""
    return (count * 8 + 4) // 5
