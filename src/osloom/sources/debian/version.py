"""Debian's order of versions, deb-version(7)."""

import functools
import re

from osloom.base.numbers import to_number

_PARTS = re.compile(r"(\D*)(\d*)")


def compare(one: str, other: str) -> int:
    """Negative, zero or positive as `one` is earlier than, equal to or later than `other`."""
    left, right = parse(one), parse(other)
    return (left > right) - (left < right)


@functools.lru_cache(maxsize=65536)
def parse(
    version: str,
) -> tuple[int, tuple[tuple[tuple[int, ...], int], ...], tuple[tuple[tuple[int, ...], int], ...]]:
    """A key that sorts as Debian does: epoch, upstream version, revision."""
    epoch, colon, rest = version.partition(":")
    if not colon:
        epoch, rest = "0", version
    upstream, dash, revision = rest.rpartition("-")
    if not dash:
        upstream, revision = rest, "0"
    return to_number(epoch) or 0, _key(upstream), _key(revision)


def _key(text: str) -> tuple[tuple[tuple[int, ...], int], ...]:
    parts = [
        ((*tuple(_weight(letter) for letter in letters), 0), int(digits or 0))
        for letters, digits in _PARTS.findall(text)
        if letters or digits
    ]
    # `1.0` and `1.0.` differ only in what an empty part weighs; both end the same way.
    return (*parts, ((0,), 0))


def _weight(letter: str) -> int:
    """Tilde before the end, letters before everything else."""
    if letter == "~":
        return -1
    return ord(letter) if letter.isalpha() else ord(letter) + 256


def satisfies(version: str, relation: str, wanted: str) -> bool:
    order = compare(version, wanted)
    match relation:
        case "<<":
            return order < 0
        case "<=" | "<":
            return order <= 0
        case "=":
            return order == 0
        case ">=" | ">":
            return order >= 0
        case ">>":
            return order > 0
        case _:
            return False
