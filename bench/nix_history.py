"""What updates of a Nix closure re-send, by how its paths are put into layers: docs/layering.md.

The history is synthetic. Packages lean on few others, the more often the lower those are, as in
nixpkgs; sizes are log-normal. What is changed makes new paths of all that leans on it. Sizes are of
archives, not compressed; re-sent is every layer that the image before did not have.
"""

import argparse
import hashlib
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from strategies import popularity

from osloom.assemble.grouping import group
from osloom.assemble.request import Part, StorePart
from osloom.assemble.store_grouping import group_store_paths
from osloom.compose.nix.install import install_packages
from osloom.engine.step import Step

LIMIT = 98
UPDATES = 40
KINDS = {"app": 50, "libraries": 25, "channel": 15, "one more or less": 7, "core": 3}
"""How often each is among a hundred updates."""
_TREE = Step(action=install_packages, title="", inputs={}).output()

Strategy = Callable[[Sequence[StorePart]], list[int]]


@dataclass(frozen=True)
class Package:
    """A package of the history."""

    name: str
    needs: tuple[int, ...]
    size: int
    version: int = 0


def packages(count: int, seed: int) -> list[Package]:
    chance = random.Random(seed)
    found: list[Package] = []
    for number in range(count):
        needs = {0} if number and chance.random() < 0.9 else set[int]()
        for _ in range(min(number, 1 + int(chance.expovariate(1 / 3)))):
            low = int(chance.paretovariate(1)) - 1
            near = chance.randrange(max(0, number - 60), number)
            needs.add(min(number - 1, low) if chance.random() < 0.5 else near)
        size = int(chance.lognormvariate(math.log(300_000), 1.9)) + 2000
        found.append(Package(f"p{number}", tuple(sorted(needs)), size))
    used = {one for package in found for one in package.needs}
    idle = [number for number in range(count - 1) if number not in used]
    found[-1] = replace(found[-1], needs=tuple(sorted({*found[-1].needs, *idle})))
    scale = 2_500_000 * count / sum(package.size for package in found)
    return [replace(one, size=int(one.size * scale) + 1) for one in found]


def updated(before: list[Package], kind: str, chance: random.Random) -> list[Package]:
    count = len(before)
    after = list(before)
    changed = {
        "app": [count - 1],
        "libraries": [chance.randrange(count // 2, count) for _ in range(chance.randint(1, 3))],
        "channel": [n for n in range(count // 20, count) if chance.random() < 0.02],
        "core": [chance.randrange(count // 20)],
        "one more or less": [count - 1],
    }[kind]
    if kind == "one more or less":
        other = {chance.randrange(count // 2, count - 1)}
        needs = tuple(sorted({*before[-1].needs} ^ other))
        after[-1] = replace(before[-1], needs=needs)
    for number in changed:
        one = after[number]
        size = int(one.size * chance.uniform(0.97, 1.03)) + 1
        after[number] = replace(one, version=one.version + 1, size=size)
    return after


def closure(all_packages: Sequence[Package]) -> list[StorePart]:
    """The store paths of the last package."""
    names: list[str] = []
    for one in all_packages:
        text = f"{one} {[names[need] for need in one.needs]}"
        digest = hashlib.sha256(text.encode()).hexdigest()[:32]
        names.append(f"{digest}-{one.name}-1.{one.version}")
    todo, wanted = [len(names) - 1], set[int]()
    while todo:
        number = todo.pop()
        if number not in wanted:
            wanted.add(number)
            todo += all_packages[number].needs
    return [
        StorePart(
            name=names[number],
            references=tuple(names[need] for need in all_packages[number].needs),
            size=all_packages[number].size,
            tree=_TREE,
        )
        for number in sorted(wanted)
    ]


def by_source(parts: Sequence[StorePart]) -> list[int]:
    """As packages of Debian: the largest alone, the others by a digest of the name."""
    plain = [
        Part(
            name=one.name, version="", source=one.name[33:].split("-")[0], size=one.size, tree=_TREE
        )
        for one in parts
    ]
    return group(plain, LIMIT)


def by_popularity(parts: Sequence[StorePart]) -> list[int]:
    """dockerTools: a layer each for those that most others lean on, the rest in the last."""
    names = [one.name for one in parts]
    score = popularity(names, {one.name: one.references for one in parts})
    ranked = sorted(names, key=lambda name: (-score[name], name))
    places = {name: min(number, LIMIT - 1) for number, name in enumerate(ranked)}
    return [places[name] for name in names]


STRATEGIES: dict[str, Strategy] = {
    "osloom": lambda parts: group_store_paths(parts, LIMIT),
    "as packages of Debian": by_source,
    "popularity, as dockerTools": by_popularity,
    "a layer a path, more than engines take": lambda parts: list(range(len(parts))),
}


def sent(count: int, kinds: dict[str, int], seeds: int) -> dict[str, float]:
    """MB that an update re-sends, on average, by strategy."""
    total = dict.fromkeys(STRATEGIES, 0)
    for seed in range(seeds):
        chance = random.Random(seed + 100)
        current = packages(count, seed)
        before: dict[str, set[frozenset[str]]] = {}
        for number in range(UPDATES + 1):
            parts = closure(current)
            for title, strategy in STRATEGIES.items():
                layers: dict[int, list[StorePart]] = {}
                for part, place in zip(parts, strategy(parts), strict=True):
                    layers.setdefault(place, []).append(part)
                sizes = {
                    frozenset(one.name for one in some): sum(one.size for one in some)
                    for some in layers.values()
                }
                if number:
                    total[title] += sum(
                        size for names, size in sizes.items() if names not in before[title]
                    )
                before[title] = set(sizes)
            (kind,) = chance.choices(list(kinds), list(kinds.values()))
            current = updated(current, kind, chance)
    return {title: size / seeds / UPDATES / 1e6 for title, size in total.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    seeds = parser.parse_args().seeds
    print(f"| paths | update | {' | '.join(STRATEGIES)} |")
    print(f"| ---: | --- |{' ---: |' * len(STRATEGIES)}")
    for count in (150, 200, 400, 1000):
        for title, kinds in {**{kind: {kind: 1} for kind in KINDS}, "all of them": KINDS}.items():
            row = [f"{size:.1f}" for size in sent(count, kinds, seeds).values()]
            print(f"| {count} | {title} | {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
