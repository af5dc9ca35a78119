"""What a closure is made of, by hand and of any graph."""

from collections.abc import Mapping
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from osloom.base.digest import from_hex
from osloom.model.closure import Part, StorePath, closure_of, weigh
from osloom.model.graph import dominators, retained, shortest_chain

# app and tool refer to lib, app alone to data and, through it, to text; all of them are known.
REFERENCES = {
    "app": ("app", "data", "lib"),
    "data": ("text",),
    "lib": (),
    "text": (),
    "tool": ("lib",),
}
SIZES = {"app": 1, "data": 10, "lib": 100, "text": 1000, "tool": 10000}


def paths(references: Mapping[str, tuple[str, ...]]) -> dict[str, StorePath]:
    return {
        name: StorePath(
            name=name,
            nar_hash=from_hex("0" * 64),
            nar_size=SIZES.get(name, 1),
            references=tuple(sorted(others)),
        )
        for name, others in references.items()
    }


def test_the_shortest_chain_comes_from_what_was_asked_for() -> None:
    known = paths(REFERENCES)
    assert shortest_chain(["tool", "app"], "text", lambda name: known[name].references) == (
        "app",
        "data",
        "text",
    )
    assert shortest_chain(["app", "tool"], "lib", lambda name: known[name].references) == (
        "app",
        "lib",
    )
    assert shortest_chain(["app"], "app", lambda name: known[name].references) == ("app",)
    assert shortest_chain(["tool"], "text", lambda name: known[name].references) is None


def test_what_is_shared_is_saved_by_neither() -> None:
    whole, each = weigh({".#app": ("app",), ".#tool": ("tool",)}, paths(REFERENCES))
    assert whole == {
        ".#app": Part(size=1111, saved=1011),
        ".#tool": Part(size=10100, saved=10000),
    }
    assert each == {
        "app": Part(size=1111, saved=1011),
        "data": Part(size=1010, saved=1010),
        "lib": Part(size=100, saved=100),
        "text": Part(size=1000, saved=1000),
        "tool": Part(size=10100, saved=10000),
    }


def test_what_was_asked_for_twice_saves_nothing() -> None:
    whole, _ = weigh({"one": ("app", "tool"), "other": ("app",)}, paths(REFERENCES))
    assert whole == {
        "one": Part(size=11111, saved=10000),
        "other": Part(size=1111, saved=0),
    }


def test_a_long_chain_is_no_trouble() -> None:
    chain = {str(number): (str(number + 1),) for number in range(5000)} | {"5000": ()}
    assert retained("0", lambda node: chain[node], lambda _: 1)["1"] == 5000


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, tuple[str, ...]]:
    """Any references among some paths, circles among them."""
    names = [str(number) for number in range(draw(st.integers(1, 9)))]
    return {
        name: tuple(draw(st.lists(st.sampled_from(names), unique=True, max_size=4)))
        for name in names
    }


def reached(graph: Mapping[str, tuple[str, ...]], without: str | None) -> set[str]:
    kept = {
        name: tuple(one for one in references if one != without)
        for name, references in graph.items()
    }
    return set(closure_of(("0",), paths(kept))) if without != "0" else set()


@given(graphs())
def test_what_is_saved_is_what_is_not_reached_without(graph: dict[str, tuple[str, ...]]) -> None:
    everything = reached(graph, None)
    saved = retained("0", lambda node: graph[node], lambda _: 1)
    assert saved == {node: len(everything - reached(graph, node)) for node in everything}


@given(graphs())
def test_a_dominator_is_on_every_way(graph: dict[str, tuple[str, ...]]) -> None:
    for node, dominator in dominators("0", lambda one: graph[one]).items():
        assert dominator == node == "0" or node not in reached(graph, dominator)


@given(graphs(), st.integers(0, 8))
def test_a_chain_is_as_short_as_can_be(graph: dict[str, tuple[str, ...]], number: int) -> None:
    goal, known = str(number), paths(graph)
    chain = shortest_chain(["0"], goal, lambda name: known[name].references)
    level, seen, steps = {"0"}, {"0"}, 1
    while level and goal not in level:
        level = {one for name in level for one in graph[name]} - seen
        seen |= level
        steps += 1
    assert (len(chain) if chain else None) == (steps if goal in level else None)
    assert not chain or all(b in graph[a] for a, b in pairwise(chain))


@given(graphs())
def test_a_size_is_that_of_the_closure(graph: dict[str, tuple[str, ...]]) -> None:
    known = paths(graph)
    whole, each = weigh({"all": ("0",)}, known)
    sizes = {name: len(closure_of((name,), known)) for name in each}
    assert {name: part.size for name, part in each.items()} == sizes
    assert whole == {"all": Part(size=len(each), saved=len(each))}
