"""Which part of a file answers a request: conditions and ranges of HTTP (RFC 9110, 13 and 14)."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

import msgspec

_TAG = re.compile(r'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')
# More digits than any file has bytes are no number: Python reads 4300 at most.
_RANGE = re.compile(
    r"bytes=[ \t]*(?:([0-9]{1,30})-([0-9]{0,30})|-([0-9]{1,30}))[ \t]*", re.IGNORECASE
)


class File(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for."""

    size: int
    """Bytes."""
    modified: int
    """Seconds since 1970."""
    tag: str
    """A strong entity tag, in its quotes."""

    @property
    def last_modified(self) -> str:
        return format_datetime(datetime.fromtimestamp(self.modified, UTC), usegmt=True)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A status, and which bytes go with it."""

    status: int
    """200, 206, 304, 412 or 416."""
    start: int = 0
    end: int = 0
    """Behind the last byte."""


def choose(method: str, headers: Mapping[str, str], file: File) -> Answer:
    """The answer to a GET or HEAD; the names of `headers` are in lower case.

    A request for several ranges at once gets the whole file, as RFC 9110 14.2 allows.
    """
    failed = _failed_condition(headers, file)
    if failed is not None:
        return Answer(status=failed)
    whole = Answer(status=200, end=file.size)
    asked = _RANGE.fullmatch(headers.get("range", ""))
    if method != "GET" or asked is None or not _is_same(headers.get("if-range"), file):
        return whole
    first, last, suffix = asked.groups()
    if suffix is not None:
        start, end = max(file.size - int(suffix), 0), file.size
    else:
        start, end = int(first), min(int(last) + 1 if last else file.size, file.size)
        if last and int(last) < start:
            return whole
    if start >= file.size:
        return Answer(status=416)
    return Answer(status=206, start=start, end=end)


def _failed_condition(headers: Mapping[str, str], file: File) -> int | None:
    """The status of the first condition that does not hold, in the order of RFC 9110 13.2.2."""
    moment = _seconds(headers.get("if-unmodified-since"))
    if "if-match" in headers:
        is_held = _matches(headers["if-match"], file.tag, weak=False)
    else:
        is_held = moment is None or file.modified <= moment
    if not is_held:
        return 412
    if "if-none-match" in headers:
        return 304 if _matches(headers["if-none-match"], file.tag, weak=True) else None
    moment = _seconds(headers.get("if-modified-since"))
    return 304 if moment is not None and file.modified <= moment else None


def _matches(given: str, tag: str, *, weak: bool) -> bool:
    if given.strip() == "*":
        return True
    return any(found[2] == tag and (weak or not found[1]) for found in _TAG.finditer(given))


def _is_same(given: str | None, file: File) -> bool:
    """If-Range: whether the client's part is of this very file."""
    return given is None or given.strip() in (file.tag, file.last_modified)


def _seconds(text: str | None) -> float | None:
    try:
        return None if text is None else parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):  # OverflowError: of a year or an offset beyond all bounds
        return None
