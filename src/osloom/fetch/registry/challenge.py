"""Challenges: how a registry says what it wants to see, RFC 9110 section 11.6.1."""

import re
from collections.abc import Iterable, Mapping

import msgspec

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_SCHEME = re.compile(rf"\s*,?\s*({_TOKEN})(?:\s+|$|(?=,))")
_PARAMETER = re.compile(rf'[\s,]*({_TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_TOKEN}))')


class Challenge(msgspec.Struct, frozen=True, kw_only=True):
    scheme: str
    """In lower case: `basic`, `bearer`."""
    parameters: Mapping[str, str]
    """Names in lower case."""


def parse_challenges(headers: Iterable[str]) -> list[Challenge]:
    """What `WWW-Authenticate` headers say; what cannot be read is left out."""
    return [one for header in headers for one in _parse(header)]


def _parse(text: str) -> Iterable[Challenge]:
    place = 0
    while found := _SCHEME.match(text, place):
        place = found.end()
        parameters: dict[str, str] = {}
        while parameter := _PARAMETER.match(text, place):
            place = parameter.end()
            quoted, plain = parameter[2], parameter[3]
            value = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain
            parameters.setdefault(parameter[1].lower(), value)
        yield Challenge(scheme=found[1].lower(), parameters=parameters)
