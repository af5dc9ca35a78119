"""Relations between packages: `a (>= 1.2) | b, c:any`, deb-control(5)."""

import functools
import re

import msgspec

_RELATION = re.compile(
    r"^\s*(?P<name>[A-Za-z0-9][A-Za-z0-9+.\-]*)(?::(?P<arch>[a-z0-9\-]+))?"
    r"\s*(?:\(\s*(?P<operator><<|<=|=|>=|>>|<|>)\s*(?P<version>[^\s)]+)\s*\))?"
)


class Relation(msgspec.Struct, frozen=True):
    """One alternative."""

    name: str
    operator: str = ""
    version: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.operator} {self.version})" if self.operator else self.name


Group = tuple[Relation, ...]
"""Alternatives, of which one has to hold."""


@functools.lru_cache(maxsize=65536)
def parse_relations(text: str) -> tuple[Group, ...]:
    if not text:
        return ()
    groups = []
    for part in text.split(","):
        alternatives = tuple(
            Relation(found["name"], found["operator"] or "", found["version"] or "")
            for found in map(_RELATION.match, part.split("|"))
            if found is not None
        )
        if alternatives:
            groups.append(alternatives)
    return tuple(groups)


def describe(group: Group) -> str:
    return " or ".join(str(one) for one in group)
