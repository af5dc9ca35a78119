"""All candidates of all repositories of one resolution, and which version of each counts."""

import functools
from collections.abc import Iterable, Sequence

import msgspec

from osloom.sources.debian.index import Candidate, ParsedIndex, candidates
from osloom.sources.debian.relation import Relation, parse_relations
from osloom.sources.debian.version import parse, satisfies


class Ranked(msgspec.Struct, frozen=True, kw_only=True):
    """An index with the pin priority of its repository, apt_preferences(5)."""

    repository: str
    index: ParsedIndex
    priority: int = 500


class Choice(msgspec.Struct, frozen=True):
    """A candidate and the repository it is in."""

    candidate: Candidate
    repository: str
    priority: int

    @property
    def name(self) -> str:
        return self.candidate.name


class Universe:
    """See the module. `preferred` versions win as long as a repository still has them."""

    def __init__(self, indexes: Sequence[Ranked], *, preferred: dict[str, str] | None = None):
        self._indexes = indexes
        self._preferred = dict(preferred or {})

    @functools.cached_property
    def names(self) -> list[str]:
        return sorted({name for ranked in self._indexes for name in ranked.index.packages})

    @functools.cached_property
    def essential(self) -> list[str]:
        names = dict.fromkeys(name for ranked in self._indexes for name in ranked.index.essential)
        return [name for name in names if self._is_essential(name)]

    def _is_essential(self, name: str) -> bool:
        choice = self.candidate(name)
        return choice is not None and choice.candidate.essential == "yes"

    def prefer(self, name: str, version: str) -> None:
        self._preferred[name] = version
        self.candidate.cache_clear()

    @functools.cache  # noqa: B019  (lives as long as the resolution)
    def versions(self, name: str) -> tuple[Choice, ...]:
        """Every version, the one apt would take first."""
        found = [
            Choice(candidate, ranked.repository, ranked.priority)
            for ranked in self._indexes
            for candidate in candidates(ranked.index, name)
        ]
        # A stable sort: of equal versions the first repository named wins.
        found.sort(key=lambda one: parse(one.candidate.version), reverse=True)
        found.sort(key=lambda one: one.priority, reverse=True)
        return tuple(found)

    @functools.cache  # noqa: B019
    def candidate(self, name: str) -> Choice | None:
        """The version that is installed if any is."""
        versions = self.versions(name)
        wanted = self._preferred.get(name)
        for one in versions:
            if one.candidate.version == wanted:
                return one
        # What has a negative or tiny priority is only taken when asked for by version.
        return next((one for one in versions if one.priority >= 100), None)

    def satisfiers(self, relation: Relation) -> list[Choice]:
        """Who can satisfy a relation, the one apt would choose first."""
        own = self.candidate(relation.name)
        found = [own] if own and _matches(own.candidate.version, relation) else []
        found += sorted(self._providers(relation), key=self._wish)
        return list(dict.fromkeys(found))

    def _providers(self, relation: Relation) -> Iterable[Choice]:
        for ranked in self._indexes:
            for name in ranked.index.provides.get(relation.name, ()):
                choice = self.candidate(name)
                if choice is not None and provides(choice.candidate, relation):
                    yield choice

    def _wish(self, choice: Choice) -> tuple[int, int, int]:
        """apt's order of providers: Essential, Priority, then who was heard of last."""
        candidate = choice.candidate
        return (candidate.essential != "yes", candidate.rank, -self._mentioned(candidate.name))

    def _mentioned(self, name: str) -> int:
        base = 0
        for ranked in self._indexes:
            if name in ranked.index.order:
                return base + ranked.index.order[name]
            base += 1 << 24
        return base


def provides(candidate: Candidate, relation: Relation) -> bool:
    """Whether a candidate provides what a relation asks for, deb-control(5)."""
    for group in parse_relations(candidate.provides):
        provided = group[0]
        if provided.name != relation.name:
            continue
        if not relation.operator:
            return True
        if provided.operator == "=" and satisfies(
            provided.version, relation.operator, relation.version
        ):
            return True
    return False


def _matches(version: str, relation: Relation) -> bool:
    return not relation.operator or satisfies(version, relation.operator, relation.version)


def meets(candidate: Candidate, relation: Relation) -> bool:
    """Whether a package, by its own name or by what it provides, satisfies a relation."""
    if candidate.name == relation.name and _matches(candidate.version, relation):
        return True
    return bool(candidate.provides) and provides(candidate, relation)
