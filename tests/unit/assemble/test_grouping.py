"""Which packages share a layer: few move, and never more layers than there may be."""

from hypothesis import given
from hypothesis import strategies as st

from osloom.assemble.grouping import group
from osloom.assemble.request import Part
from osloom.engine.step import Output, Step
from support.workbench import given as action

TREE = Output(Step(action=action, title="a tree"), "tree")


def part(name: str, source: str = "", size: int = 1000) -> Part:
    return Part(name=name, version="1", source=source or name, size=size, tree=TREE)


def layers(parts: list[Part], limit: int) -> set[frozenset[str]]:
    """The layers by what is in them."""
    members: dict[int, set[str]] = {}
    for one, number in zip(parts, group(parts, limit), strict=True):
        members.setdefault(number, set()).add(one.name)
    return {frozenset(names) for names in members.values()}


NAMES = st.text("abcdefgh", min_size=1, max_size=3)
PARTS = st.dictionaries(NAMES, st.tuples(NAMES, st.integers(0, 1 << 24)), max_size=60).map(
    lambda found: [part(name, source, size) for name, (source, size) in sorted(found.items())]
)


@given(PARTS, st.integers(-2, 40))
def test_every_package_is_in_one_of_at_most_so_many_layers(parts: list[Part], limit: int) -> None:
    numbers = group(parts, limit)
    assert len(numbers) == len(parts)
    assert sorted(set(numbers)) == list(range(len(set(numbers))))
    assert len(set(numbers)) <= max(limit, 1)


@given(PARTS, st.integers(1, 40))
def test_packages_of_one_source_are_in_one_layer(parts: list[Part], limit: int) -> None:
    found: dict[str, set[int]] = {}
    for one, number in zip(parts, group(parts, limit), strict=True):
        found.setdefault(one.source, set()).add(number)
    assert all(len(numbers) == 1 for numbers in found.values())


@given(PARTS, st.integers(1, 40), NAMES, NAMES, st.integers(0, 1 << 24))
def test_one_package_more_changes_few_layers(
    parts: list[Part], limit: int, name: str, source: str, size: int
) -> None:
    before = [one for one in parts if one.name != name]
    after = sorted([*before, part(name, source, size)], key=lambda one: one.name)
    gone = layers(before, limit) - layers(after, limit)
    sources = {one.source for one in before}
    if len(sources | {source}) <= limit:
        # The layer of its own source, if that was there.
        assert len(gone) == (source in sources)
    elif len(sources) > limit:
        # Where it was, or goes; and where the one was that makes room, and goes.
        assert len(gone) <= 3


@given(PARTS, PARTS)
def test_below_the_limit_a_source_has_the_same_layer_in_every_image(
    one: list[Part], other: list[Part]
) -> None:
    shared = {part.source for part in one} & {part.source for part in other}
    same = [
        source
        for source in shared
        if {part.name for part in one if part.source == source}
        == {part.name for part in other if part.source == source}
    ]
    for source in same:
        names = frozenset(part.name for part in one if part.source == source)
        assert names in layers(one, 99)
        assert names in layers(other, 99)


def test_when_there_are_too_few_layers_the_smallest_share() -> None:
    parts = [part(f"p{number:02}", size=1 << number) for number in range(20)]
    found = layers(parts, 9)
    assert {frozenset([f"p{number:02}"]) for number in range(14, 20)} <= found
    assert frozenset(name for shared in found for name in shared) == {one.name for one in parts}
    assert len(found) <= 9


def test_the_order_of_the_packages_does_not_matter() -> None:
    parts = [part(f"p{number}", size=number * 999) for number in range(50)]
    assert layers(parts, 12) == layers(parts[::-1], 12)
