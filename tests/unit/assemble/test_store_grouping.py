"""Which store paths share a layer."""

import random

from osloom.assemble.request import StorePart
from osloom.assemble.store_grouping import group_store_paths
from osloom.compose.nix.install import install_packages
from osloom.engine.step import Step

TREE = Step(action=install_packages, title="", inputs={}).output()


def part(name: str, *references: str, size: int = 1000, build: int = 0) -> StorePart:
    """A path; its hash part is the build's number."""
    return StorePart(name=f"{build:032}-{name}", references=references, size=size, tree=TREE)


def closure(count: int, changed: frozenset[int] = frozenset()) -> list[StorePart]:
    """A graph of `count` packages; those in `changed`, and all that lean on them, are new builds."""
    chance = random.Random(7)
    builds: list[int] = []
    parts: list[StorePart] = []
    for number in range(count):
        needs = sorted({chance.randrange(number) for _ in range(min(number, 3))})
        size = 1 << chance.randrange(10, 24)
        new = number in changed or any(builds[one] for one in needs)
        builds.append(int(new))
        names = [parts[one].name for one in needs]
        parts.append(part(f"p{number}-1.{int(new)}", *names, size=size, build=number * 10 + new))
    return parts


def layers(parts: list[StorePart], limit: int) -> set[frozenset[str]]:
    found: dict[int, set[str]] = {}
    for one, number in zip(parts, group_store_paths(parts, limit), strict=True):
        found.setdefault(number, set()).add(one.name)
    assert sorted(found) == list(range(len(found)))
    return {frozenset(names) for names in found.values()}


def test_each_path_has_a_layer_as_long_as_there_are_enough() -> None:
    parts = closure(98)
    assert group_store_paths(parts, 98) != [0] * 98
    assert len(layers(parts, 98)) == 98


def test_what_needs_less_is_lower() -> None:
    parts = [
        part("app", part("lib").name, part("base").name),
        part("lib", part("base").name),
        part("base", part("base").name),
    ]
    assert group_store_paths(parts, 10) == [2, 1, 0]


def test_there_are_never_more_than_the_limit() -> None:
    for limit in (1, 2, 3, 10, 97, 98, 200, 1000):
        for count in (0, 1, 99, 400):
            assert len(layers(closure(count), limit)) <= limit


def test_a_new_version_stays_in_its_layer() -> None:
    before, after = layers(closure(400), 98), layers(closure(400, frozenset({399})), 98)
    (old,), (new,) = before - after, after - before
    assert {"p399-1.0"} == {name[33:] for name in old - new}
    assert {"p399-1.1"} == {name[33:] for name in new - old}


def test_a_package_that_nothing_refers_to_has_a_layer_of_its_own() -> None:
    whole = closure(400)
    app = part("app-1", *(one.name for one in whole), size=1)
    assert frozenset({app.name}) in layers([*whole, app], 98)


def test_one_path_more_moves_few() -> None:
    before = layers(closure(400), 98)
    after = layers([*closure(400), part("another-1", closure(400)[50].name, size=2000)], 98)
    assert len(after - before) <= 3


def test_the_order_in_which_they_are_given_does_not_matter() -> None:
    parts = closure(300)
    shuffled = random.Random(1).sample(parts, 300)
    assert layers(parts, 50) == layers(shuffled, 50)


def test_a_circle_comes_to_an_end() -> None:
    """Nix makes none; a lock that somebody has edited may have one."""
    first, second, third = (part(name).name for name in ("first", "second", "third"))
    parts = [part("first", second), part("second", third), part("third", first), part("own")]
    assert len(layers(parts, 10)) == 4
    assert len(layers(parts, 2)) == 2
