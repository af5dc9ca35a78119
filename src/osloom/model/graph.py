"""Why a node of a graph is there, and what leaving it out would take with it.

The first is a shortest chain, the second the dominator tree and sizes over it:
https://www.cs.tufts.edu/comp/150FP/archive/keith-cooper/dom14.pdf (Cooper, Harvey and Kennedy, A
Simple, Fast Dominance Algorithm)
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping


def dominators(start: str, edges: Callable[[str], Iterable[str]]) -> dict[str, str]:
    """For each node that `start` reaches, the nearest other one that every way to it goes through.

    That of `start` is itself. The last nodes of the graph come first, and `start` last.
    """
    order, before = _postorder(start, edges)
    number = {node: place for place, node in enumerate(order)}
    found = {start: start}
    changed = True
    while changed:
        changed = False
        for node in reversed(order[:-1]):
            known = [one for one in before[node] if one in found]
            new = known[0]
            for other in known[1:]:
                new = _common(new, other, found, number)
            if found.get(node) != new:
                found[node], changed = new, True
    return {node: found[node] for node in order}


def _postorder(
    start: str, edges: Callable[[str], Iterable[str]]
) -> tuple[list[str], dict[str, list[str]]]:
    """The nodes, each after those that it leads to, and what leads to each."""
    order: list[str] = []
    before: dict[str, list[str]] = {start: []}
    # By hand, as chains may be longer than Python's own stack.
    stack = [(start, iter(tuple(edges(start))))]
    while stack:
        node, rest = stack[-1]
        following = next(rest, None)
        if following is None:
            order.append(node)
            stack.pop()
        elif following in before:
            before[following].append(node)
        else:
            before[following] = [node]
            stack.append((following, iter(tuple(edges(following)))))
    return order, before


def _common(one: str, other: str, found: Mapping[str, str], number: Mapping[str, int]) -> str:
    while one != other:
        while number[one] < number[other]:
            one = found[one]
        while number[other] < number[one]:
            other = found[other]
    return one


def retained(
    start: str, edges: Callable[[str], Iterable[str]], size: Callable[[str], int]
) -> dict[str, int]:
    """For each node that `start` reaches, the size of what nothing reaches once it is left out."""
    above = dominators(start, edges)
    sizes = {node: size(node) for node in above}
    # A node comes before its dominator.
    for node, dominator in above.items():
        if node != start:
            sizes[dominator] += sizes[node]
    return sizes


def shortest_chain(
    roots: Iterable[str], goal: str, needs: Callable[[str], Iterable[str]]
) -> tuple[str, ...] | None:
    """The names from one of `roots` to `goal`, each needing the next; None where none leads there."""
    before: dict[str, str | None] = dict.fromkeys(roots)
    todo = deque(before)
    while todo:
        name = todo.popleft()
        if name == goal:
            chain = [name]
            while (previous := before[chain[-1]]) is not None:
                chain.append(previous)
            return tuple(reversed(chain))
        for needed in needs(name):
            if needed not in before:
                before[needed] = name
                todo.append(needed)
    return None
