"""Choose packages as `apt-get install` does on an empty system.

apt does not search for a best set: it marks what is asked for, then goes through dependencies
depth first and takes of each the first alternative that is there or can be had. To choose the same
packages, osloom walks the same way. When an alternative leads into a conflict the next one is
tried.
"""

import sys
from collections.abc import Iterable, Sequence

import msgspec

from osloom.base.errors import LockError, nearest
from osloom.sources.debian.relation import Group, Relation, describe, parse_relations
from osloom.sources.debian.universe import Choice, Universe, meets


class Solution(msgspec.Struct, frozen=True, kw_only=True):
    """The chosen packages."""

    chosen: tuple[Choice, ...]
    """Sorted by name."""
    requested: tuple[str, ...]
    """The names of those that were asked for, in that order; of a virtual package the one that was
    chosen for it."""
    depends: dict[str, tuple[str, ...]]
    """For each package, the chosen ones it needs."""


class ConflictError(Exception):
    """An alternative cannot be taken; the first argument says why."""

    def __init__(self, reason: str, blocker: str | None = None) -> None:
        super().__init__(reason)
        self.blocker = blocker
        """The chosen package that is in the way, if one is."""


class _State(msgspec.Struct):
    universe: Universe
    recommends: bool
    without: frozenset[str] = frozenset()
    """`Request.without`."""
    avoid: frozenset[str] = frozenset()
    """Alternatives that turned out to be in the way of something else."""
    chosen: dict[str, Choice] = {}
    providers: dict[str, list[Choice]] = {}
    done: set[str] = set()
    trail: list[str] = []
    """Names in the order they were chosen, to take back a failed alternative."""

    def add(self, choice: Choice) -> None:
        self.chosen[choice.name] = choice
        self.trail.append(choice.name)
        for group in parse_relations(choice.candidate.provides):
            self.providers.setdefault(group[0].name, []).append(choice)

    def undo(self, length: int) -> None:
        while len(self.trail) > length:
            choice = self.chosen.pop(self.trail.pop())
            self.done.discard(choice.name)
            for group in parse_relations(choice.candidate.provides):
                self.providers[group[0].name].remove(choice)

    def leaves_out(self, choice: Choice, group: Group) -> bool:
        """Whether what `choice` needs here does not count."""
        names = {relation.name for relation in group}
        return not self.without.isdisjoint(names | {f"{choice.name}>{name}" for name in names})

    def holds(self, relation: Relation) -> Choice | None:
        """A chosen package that satisfies the relation."""
        own = self.chosen.get(relation.name)
        if own is not None and meets(own.candidate, relation):
            return own
        for choice in self.providers.get(relation.name, ()):
            if meets(choice.candidate, relation):
                return choice
        return None


def resolve(
    universe: Universe,
    names: Sequence[str],
    *,
    recommends: bool,
    essential: bool,
    without: Iterable[str] = (),
) -> Solution:
    """The packages for `names` (`NAME` or `NAME=VERSION`), and what they need.

    `without` has the dependencies that do not count, as in `Request`.

    Raises LockError with the chain of reasons when there is no such set.
    """
    wanted = [*(universe.essential if essential else ()), *names]
    choices = {name: _requested(universe, name) for name in wanted}
    requested = list(choices.values())
    fixed = {choice.name for choice in requested}
    avoid: frozenset[str] = frozenset()
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, 20000))
    try:
        while True:
            state = _State(
                universe=universe,
                recommends=recommends,
                without=frozenset(without),
                avoid=avoid,
            )
            try:
                _choose(state, requested)
            except ConflictError as error:
                if error.blocker is None or error.blocker in fixed | avoid:
                    raise _unsatisfiable(error) from error
                # What was taken as one of several alternatives stands in the way: do without it.
                avoid |= {error.blocker}
            else:
                break
    finally:
        sys.setrecursionlimit(limit)
    chosen = tuple(state.chosen[name] for name in sorted(state.chosen))
    return Solution(
        chosen=chosen,
        requested=tuple(choices[name].name for name in dict.fromkeys(names)),
        depends={one.name: _needs(state, one) for one in chosen},
    )


def _choose(state: _State, requested: Sequence[Choice]) -> None:
    """As apt-get does: first everything that was asked for, then what it needs."""
    for choice in requested:
        if choice.name not in state.chosen:
            _check_conflicts(state, choice)
            state.add(choice)
    for choice in requested:
        _need(state, choice)


def _unsatisfiable(error: ConflictError) -> LockError:
    return LockError(
        "cannot choose packages: no set of them fits together",
        detail=str(error),
        hint="leave out one of the packages named, or ask for other versions",
    )


def _requested(universe: Universe, text: str) -> Choice:
    name, _, version = text.partition("=")
    name = name.partition(":")[0]
    versions = universe.versions(name)
    if version:
        for one in versions:
            if one.candidate.version == version:
                universe.prefer(name, version)
                return one
        have = ", ".join(one.candidate.version for one in versions)
        hint = f"there is {have}" if have else None
        raise LockError(f"cannot find `{name}` in version {version}", hint=hint)
    choice = universe.candidate(name)
    if choice is not None:
        return choice
    providers = universe.satisfiers(Relation(name))
    if len(providers) == 1:
        return providers[0]
    if providers:
        raise LockError(
            f"cannot choose for `{name}`: several packages provide it",
            hint="name one: " + ", ".join(sorted(one.name for one in providers)),
        )
    close = nearest(name, universe.names, count=3)
    hint = f"did you mean {' or '.join(f'`{one}`' for one in close)}?" if close else None
    raise LockError(f"cannot find the package `{name}`", hint=hint)


def _need(state: _State, choice: Choice) -> None:
    """Choose what `choice` depends on. Raises ConflictError."""
    if choice.name in state.done:
        return
    state.done.add(choice.name)
    candidate = choice.candidate
    for field_text in (candidate.depends, candidate.pre_depends):
        for group in parse_relations(field_text):
            _satisfy(state, choice, group)
    if state.recommends:
        for group in parse_relations(candidate.recommends):
            length = len(state.trail)
            try:
                _satisfy(state, choice, group)
            except ConflictError:
                state.undo(length)


def _satisfy(state: _State, choice: Choice, group: Group) -> None:
    if state.leaves_out(choice, group):
        return
    for relation in group:
        there = state.holds(relation)
        if there is not None:
            _need(state, there)
            return
    reasons: list[ConflictError] = []
    for relation in group:
        for option in state.universe.satisfiers(relation):
            if option.name in state.avoid:
                continue
            length = len(state.trail)
            try:
                _check_conflicts(state, option)
                state.add(option)
                _need(state, option)
            except ConflictError as error:
                state.undo(length)
                reasons.append(error)
            else:
                return
    blocker = reasons[0].blocker if reasons else None
    raise ConflictError(_why(state, choice, group, reasons), blocker)


def _why(state: _State, choice: Choice, group: Group, reasons: Sequence[ConflictError]) -> str:
    head = f"{choice.name} {choice.candidate.version} needs {describe(group)}"
    if reasons:
        return f"{head}, but {reasons[0]}"
    for relation in group:
        there = state.universe.candidate(relation.name)
        if there is not None:
            return f"{head}, but {relation.name} is {there.candidate.version}"
    return f"{head}, which no repository has"


def _check_conflicts(state: _State, choice: Choice) -> None:
    """Raises ConflictError when a chosen package and `choice` exclude each other."""
    other = state.chosen.get(choice.name)
    if other is not None and other.candidate.version != choice.candidate.version:
        raise ConflictError(
            f"{choice.name} is wanted in versions {choice.candidate.version} "
            f"and {other.candidate.version}"
        )
    for relation in _exclusions(choice):
        there = state.holds(relation)
        if there is not None and there.name != choice.name:
            raise _exclusion(choice.name, there.name)
    for there in state.chosen.values():
        for relation in _exclusions(there):
            if there.name != choice.name and meets(choice.candidate, relation):
                raise _exclusion(choice.name, there.name)


def _exclusion(name: str, blocker: str) -> ConflictError:
    return ConflictError(f"{name} cannot be there together with {blocker}", blocker)


def _exclusions(choice: Choice) -> list[Relation]:
    candidate = choice.candidate
    groups = parse_relations(candidate.conflicts) + parse_relations(candidate.breaks)
    return [group[0] for group in groups]


def _needs(state: _State, choice: Choice) -> tuple[str, ...]:
    candidate = choice.candidate
    fields = [candidate.depends, candidate.pre_depends]
    fields += [candidate.recommends] if state.recommends else []
    found = {
        there.name
        for text in fields
        for group in parse_relations(text)
        for relation in group
        if (there := state.holds(relation)) is not None
    }
    return tuple(sorted(found - {choice.name}))
