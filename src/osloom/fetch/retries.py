"""Trying again: when, how often, and after how long."""

import contextlib
import math
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, TypeVar

from osloom.base.errors import FetchError
from osloom.fetch.http import ConnectError, SilentError, TransportError

if TYPE_CHECKING:
    from email.message import Message

_Kind = TypeVar("_Kind", bound=BaseException)

AGAIN = (408, 425, 429, 500, 502, 503, 504)
"""Statuses after which the same request may succeed."""
_TRIES = 6
_REFUSED_TRIES = 3
"""Where nothing listens, or no such host is known, waiting seldom helps."""
_PAUSE = 0.5
"""Seconds before the second try; doubled each time."""
_LONGEST_PAUSE = 60.0
"""Seconds, whatever `Retry-After` says."""


class Retries:
    """The tries of one operation.

        while True:
            with retries.transport():
                …
                return
            retries.wait()

    What breaks in the block is remembered, and raised by `wait` when there have been enough tries.
    """

    def __init__(self, host: str, stopped: threading.Event, *, service: str = "registry") -> None:
        self._host = host
        self._stopped = stopped
        self._service = service
        self._count = 0
        self._most = _TRIES
        self._problem = FetchError(f"cannot reach {host}")
        self._least = 0.0

    @contextlib.contextmanager
    def transport(self) -> Iterator[None]:
        """Takes what may be better the next time. Raises FetchError for what will not."""
        try:
            yield
        except TransportError as error:
            self._least = 0.0
            self._problem = explain(error, self._host, service=self._service)
            import ssl

            if _has(error, ssl.SSLCertVerificationError):
                raise self._problem from error
            self._most = _REFUSED_TRIES if isinstance(error, ConnectError) else _TRIES

    def failed(self, problem: str, least: float = 0.0) -> None:
        """The server itself wants another try, in `least` seconds or later."""
        self._problem = FetchError(
            f"cannot use {self._host}: {problem}",
            hint=f"the {self._service} is in trouble: try later",
        )
        self._most = _TRIES
        self._least = least

    def moved(self) -> None:
        """There was progress: what fails from here on is a new trouble."""
        self._count = 0

    def wait(self) -> None:
        """Until the next try. Raises FetchError when there is none."""
        self._count += 1
        if self._count >= self._most:
            raise self._problem
        pause = max(_PAUSE * 2 ** (self._count - 1), self._least)
        if self._stopped.wait(min(pause, _LONGEST_PAUSE)):
            raise FetchError(f"cannot use {self._host}: stopped")


def retry_after(headers: "Message[str, str]") -> float:
    """Seconds, from a number or a date, RFC 9110 section 10.2.3; 0 when it does not say."""
    text = headers.get("Retry-After", "")
    with contextlib.suppress(ValueError):
        seconds = float(text)
        return seconds if math.isfinite(seconds) else 0.0
    with contextlib.suppress(ValueError, TypeError):
        return max((parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds(), 0.0)
    return 0.0


def explain(error: TransportError, host: str, *, service: str = "registry") -> FetchError:
    """What a broken connection means for the user; `service` is what they call the host."""
    import ssl

    is_registry = service == "registry"
    if found := _has(error, ssl.SSLCertVerificationError):
        return FetchError(
            f"cannot trust {host}: its certificate is not valid here: {found.verify_message}",
            hint="for a private authority give its certificate with `--ca FILE`, "
            f"or put it at /etc/containers/certs.d/{host}/ca.crt"
            if is_registry
            else "for a private authority name its certificate in SSL_CERT_FILE",
        )
    if _has(error, ssl.SSLError):
        return FetchError(
            f"cannot reach {host}: it does not speak TLS as it should",
            hint="`--insecure` is for registries that speak plain HTTP: never outside your own net"
            if is_registry
            else "see whether its address is right",
        )
    said = re.sub(r"^\[Errno -?\d+\] ", "", str(error)) or type(error).__name__
    what = "no answer in time" if isinstance(error, SilentError) else said
    return FetchError(
        f"cannot reach {host}: {what}", hint=f"check the network and the {service}'s name and port"
    )


def _has(error: BaseException, kind: type[_Kind]) -> _Kind | None:
    """The first cause of a kind, if there is one."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, kind):
            return cause
        cause = cause.__cause__ or cause.__context__
    return None
