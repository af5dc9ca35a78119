"""Which paths of a Nix store share a layer, so that an update re-sends little.

A path changes whenever one that it refers to does, at any distance: a new library makes new paths
of all that lean on it. So what needs few paths changes seldom, and what needs many changes often,
and together.

1. As long as there are layers enough, each path has one.
2. When there are not, half of the layers is shared. The packages themselves, which nothing refers
   to, and the largest paths keep their own.
3. The others are put in the order of how many paths they need, and divided where a digest of the
   name says. So a path more moves the border of two layers at most, and a new version none.
"""

import hashlib
from collections.abc import Sequence

from osloom.assemble.request import StorePart
from osloom.model.nix_package import parse_package_name
from osloom.model.store_path import name_part


def group_store_paths(parts: Sequence[StorePart], limit: int) -> list[int]:
    """For each path the number of its layer: dense, from 0, at most `limit` of them.

    What needs fewer paths is lower: engines unpack all layers above one that differs again.
    """
    needs = _needed(parts)
    ordered = sorted(parts, key=lambda part: (needs[part.name], name_part(part.name), part.name))
    layers = _layers(ordered, max(limit, 1))
    layers.sort(key=lambda layer: needs[layer[-1].name])
    numbers = {part.name: number for number, layer in enumerate(layers) for part in layer}
    return [numbers[part.name] for part in parts]


def _layers(ordered: Sequence[StorePart], limit: int) -> list[list[StorePart]]:
    """The paths of each layer, in order."""
    if len(ordered) <= limit:
        return [[part] for part in ordered]
    shared = -(-limit // 2)
    referred = {one for part in ordered for one in part.references if one != part.name}

    def weight(part: StorePart) -> tuple[bool, int, int]:
        # By powers of two: an update seldom moves a path from one class to another.
        return part.name in referred, -part.size.bit_length(), _digest(part)

    own = {part.name for part in sorted(ordered, key=weight)[: limit - shared]}
    rest = [part for part in ordered if part.name not in own]
    first = {part.name for part in sorted(rest[1:], key=_digest)[: shared - 1]}
    layers: list[list[StorePart]] = []
    for part in rest:
        if not layers or part.name in first:
            layers.append([])
        layers[-1].append(part)
    return [*layers, *([part] for part in ordered if part.name in own)]


def _digest(part: StorePart) -> int:
    """Of the package and output alone: it stays when the version changes."""
    name = parse_package_name(part.name)
    return int.from_bytes(hashlib.sha256(f"{name.package}-{name.output}".encode()).digest())


def _needed(parts: Sequence[StorePart]) -> dict[str, int]:
    """How many paths each needs, at any distance; itself among them where it refers to itself.

    Nix allows no circles, and a lock might: in one, what leads back to where it began is not
    followed.
    """
    references = {part.name: part.references for part in parts}
    bits = {name: 1 << number for number, name in enumerate(references)}
    found: dict[str, int] = {}
    """As numbers with a bit for each path: sets of a thousand would take a while."""
    entered: set[str] = set()
    todo = list(references)
    while todo:
        name = todo.pop()
        entered.add(name)
        missing = [one for one in references[name] if one not in entered]
        if missing:
            todo += [name, *missing]
            continue
        whole = 0
        for one in references[name]:
            whole |= bits[one] | found.get(one, 0)
        found[name] = whole
    return {name: whole.bit_count() for name, whole in found.items()}
