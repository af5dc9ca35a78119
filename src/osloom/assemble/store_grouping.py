"""Which paths of a Nix store share a layer, so that an update re-sends little.

A path changes whenever one that it refers to does, at any distance: an update of a library makes
new paths of all that lean on it. So what leans on little changes seldom, and what leans on much
often, and together.
"""

from collections.abc import Sequence

from osloom.assemble.request import StorePart
from osloom.model.store_path import name_part


def group_store_paths(parts: Sequence[StorePart], limit: int) -> list[int]:
    """For each path the number of its layer: dense, from 0, at most `limit` of them.

    A path is above those that it refers to, as far as that goes: where the layers of an update
    differ, engines unpack all above again.
    """
    needs = needed(parts)
    order = sorted(parts, key=lambda part: (needs[part.name], name_part(part.name), part.name))
    places = {part.name: min(number, limit - 1) for number, part in enumerate(order)}
    return [places[part.name] for part in parts]


def needed(parts: Sequence[StorePart]) -> dict[str, int]:
    """How many other paths each needs, at any distance."""
    references = {part.name: part.references for part in parts}
    found: dict[str, frozenset[str]] = {}
    for start in references:
        todo = [start]
        while todo:
            name = todo[-1]
            others = [one for one in references[name] if one != name]
            missing = [one for one in others if one not in found]
            if missing:
                todo.extend(missing)
                continue
            found[todo.pop()] = frozenset(others).union(*(found[one] for one in others))
    return {name: len(closure) for name, closure in found.items()}
