"""Ask a server whether it answers as it should, until it does."""

import http.client
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import msgspec

_PAUSE = 0.1
_LIMIT = 1 << 20
"""Bytes of an answer that are looked at."""


class HttpCheck(msgspec.Struct, frozen=True, kw_only=True):
    """One request, and what its answer has to be."""

    url: str
    """With `http`, an address of the loopback and a port."""
    status: int = 200
    contains: str | None = None
    timeout: int
    """Seconds in which the answer has to come."""


def problem_of(check: HttpCheck, is_running: Callable[[], bool]) -> str:
    """Why the check failed; empty when it did not.

    A server that refuses, or says that it is not ready (5xx), is asked again; any other answer
    is the answer. Redirects are not followed.
    """
    deadline = time.monotonic() + check.timeout
    problem = "no answer"
    while time.monotonic() < deadline:
        if not is_running():
            return "the program ended before it answered"
        try:
            status, body = _ask(check.url, deadline - time.monotonic())
        except (OSError, http.client.HTTPException) as error:
            problem = f"no answer: {error}"
        else:
            problem = _judge(check, status, body)
            if not problem or status < 500:
                return problem
        time.sleep(_PAUSE)
    return f"{problem}, after {check.timeout} seconds"


def _ask(url: str, timeout: float) -> tuple[int, str]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(
        parts.hostname or "localhost", parts.port, timeout=max(timeout, _PAUSE)
    )
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", target, headers={"User-Agent": "osloom"})
        answer = connection.getresponse()
        return answer.status, answer.read(_LIMIT).decode(errors="replace")
    finally:
        connection.close()


def _judge(check: HttpCheck, status: int, body: str) -> str:
    if status != check.status:
        return f"the answer has the status {status}, not {check.status}: {body[:200]}".rstrip(": ")
    if check.contains is not None and check.contains not in body:
        return f"the answer does not contain `{check.contains}`: {body[:200]}".rstrip(": ")
    return ""
