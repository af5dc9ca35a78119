"""Ways to put packages into layers, to be compared: each gives the number of every package's layer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from osloom.assemble.grouping import group
from osloom.assemble.layers import ON_TOP
from osloom.assemble.request import Part

MOST = 127
"""Layers that an engine takes."""

Depends = Mapping[str, Sequence[str]]
"""For each package the names of those it needs."""


@dataclass(frozen=True)
class Strategy:
    title: str
    layers: int
    """Of the whole image, with those on top; 1: the packages have none of their own."""
    groups: Callable[[Sequence[Part], Depends, int], list[int]]
    """Given the most layers that packages may have."""

    def __call__(self, parts: Sequence[Part], depends: Depends) -> list[int]:
        return self.groups(parts, depends, self.layers - ON_TOP)


def by_source(parts: Sequence[Part], _: Depends, limit: int) -> list[int]:
    return group(parts, limit)


def none(_parts: Sequence[Part], _: Depends, _limit: int) -> list[int]:
    return []


def by_package(parts: Sequence[Part], _: Depends, limit: int) -> list[int]:
    """One each by name, as long as there are layers; the rest in the last."""
    return [min(number, limit - 1) for number in range(len(parts))]


def by_popularity(parts: Sequence[Part], depends: Depends, limit: int) -> list[int]:
    """dockerTools, https://grahamc.com/blog/nix-and-layered-docker-images: one each for those that
    most others lean on, counted in every place of the dependency graph drawn as a tree, and the
    more the deeper; the rest in the last.
    """
    names = [part.name for part in parts]
    score = popularity(names, depends)
    ranked = sorted(names, key=lambda name: (-score[name], name))
    places = {name: min(number, limit - 1) for number, name in enumerate(ranked)}
    numbers = sorted(set(places.values()))
    return [numbers.index(places[name]) for name in names]


def popularity(names: Sequence[str], depends: Depends) -> dict[str, int]:
    """For each package the sum of its depths in the tree of all chains of dependencies."""
    needs = _acyclic(names, depends)
    needed = {one for many in needs.values() for one in many}
    # How many chains lead to a package, and how long they are together.
    chains = {name: int(name not in needed) for name in names}
    lengths = dict(chains)
    for name in _topological(names, needs):
        for one in needs[name]:
            chains[one] += chains[name]
            lengths[one] += lengths[name] + chains[name]
    return lengths


def _acyclic(names: Sequence[str], depends: Depends) -> dict[str, list[str]]:
    """The graph less what closes circles, which store paths do not have and packages do."""
    needs: dict[str, list[str]] = {name: [] for name in names}
    state: dict[str, str] = {}
    for start in names:
        todo = [] if start in state else [(start, iter(depends.get(start, ())))]
        state.setdefault(start, "open")
        while todo:
            name, rest = todo[-1]
            one = next(rest, None)
            if one is None:
                state[name] = "done"
                todo.pop()
            elif one in needs and one != name and state.get(one) != "open":
                needs[name].append(one)
                if one not in state:
                    state[one] = "open"
                    todo.append((one, iter(depends.get(one, ()))))
    return needs


def _topological(names: Sequence[str], needs: Mapping[str, Sequence[str]]) -> list[str]:
    """Those that need before those that are needed."""
    waiting = dict.fromkeys(names, 0)
    for many in needs.values():
        for one in many:
            waiting[one] += 1
    order = [name for name in names if not waiting[name]]
    for name in order:
        for one in needs[name]:
            waiting[one] -= 1
            if not waiting[one]:
                order.append(one)
    return order


STRATEGIES = {
    "osloom": Strategy("osloom", MOST, by_source),
    "package": Strategy(f"a layer a package, from the {MOST}th on one", MOST, by_package),
    "popularity": Strategy("popularity, as dockerTools", MOST, by_popularity),
    "one": Strategy("one layer", 1, none),
    "osloom-100": Strategy("osloom, at most 100 layers", 100, by_source),
    "unlimited": Strategy("a layer a package, more than engines take", 1000, by_package),
}
COMPARED = ("osloom", "package", "popularity", "one")
"""Those that give images that run."""
