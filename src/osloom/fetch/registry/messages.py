"""Requests to a registry and its answers, as data."""

import contextlib
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec

from osloom.fetch.said import printable

if TYPE_CHECKING:
    from email.message import Message

    from osloom.fetch.http import Response

_PATIENCE = 30.0
"""Seconds without a byte."""
SMALL = 64 << 10
"""Bytes of an answer that is read for what it says; the rest is of no interest."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One request, which can be sent any number of times."""

    method: str
    url: str
    """A path of the registry, or a whole address."""
    scopes: tuple[str, ...] = ()
    """What it takes to be allowed, as in the token specification: `repository:app:pull`."""
    headers: Mapping[str, str] = {}
    content: bytes | Callable[[], Iterable[bytes]] | None = None
    """A function gives the body from its start, each time; then `headers` have the length."""
    patience: float = _PATIENCE


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    status: int
    headers: "Message[str, str]"
    body: bytes
    """One byte more than the limit when there is more."""
    url: str
    """Where it came from in the end; `Location` is relative to it."""


def read(answer: "Response", limit: int) -> Answer:
    """At most `limit` bytes of the body, and one more that says that there are more."""
    data = bytearray()
    for chunk in answer.pieces():
        data += chunk
        if len(data) > limit:
            break
    return Answer(
        status=answer.status,
        headers=answer.headers,
        body=bytes(data[: limit + 1]),
        url=answer.url,
    )


class _Problem(msgspec.Struct, frozen=True):
    code: str = ""
    message: str = ""


class _Problems(msgspec.Struct, frozen=True):
    errors: tuple[_Problem, ...] = ()


def said(body: bytes) -> str:
    """The first error of an answer, distribution-spec, Error Codes."""
    with contextlib.suppress(msgspec.DecodeError):
        problems = msgspec.json.decode(body, type=_Problems).errors
        if problems:
            return printable(problems[0].message or problems[0].code)
    return ""
