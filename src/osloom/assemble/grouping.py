"""Which packages share a layer, so that an update re-sends little.

A pull re-sends a layer whole when any byte of it changes.

1. The binary packages of one source package share a layer: they change together.
2. As long as there are layers enough, each source has one.
3. When there are not, a quarter of the layers is shared: the largest sources keep their own, and
   each other goes into one of the shared by a digest of its name.
4. So one package more changes no other layer below the limit, and above it those of two sources;
   where it crosses the limit, those of the smallest.
"""

import hashlib
from collections.abc import Sequence

from osloom.assemble.request import Part

_SHARED = 4
"""One layer of so many is shared once there are too few; docs/layering.md says what else was tried."""


def group(parts: Sequence[Part], limit: int) -> list[int]:
    """For each package the number of its layer: dense, from 0, at most `limit` of them."""
    sizes: dict[str, int] = {}
    for part in parts:
        sizes[part.source] = sizes.get(part.source, 0) + part.size
    places = _places(sizes, max(limit, 1))
    numbers = {place: number for number, place in enumerate(dict.fromkeys(places.values()))}
    return [numbers[places[part.source]] for part in parts]


def _places(sizes: dict[str, int], limit: int) -> dict[str, str | int]:
    """For each source the name of its own layer, or the number of a shared one."""
    if len(sizes) <= limit:
        return {source: source for source in sizes}
    shared = -(-limit // _SHARED)
    # By powers of two: an update seldom moves a package from one class to another.
    largest = sorted(sizes, key=lambda source: (-sizes[source].bit_length(), _digest(source)))
    own = set(largest[: limit - shared])
    return {source: source if source in own else _digest(source) % shared for source in sizes}


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest())
