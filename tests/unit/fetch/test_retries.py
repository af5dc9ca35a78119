"""When to try again, and for how long."""

import ssl
import threading
from datetime import UTC, datetime, timedelta
from email.message import Message
from email.utils import format_datetime

import pytest

from osloom.base.errors import FetchError
from osloom.base.numbers import to_number
from osloom.fetch import retries
from osloom.fetch.http import ConnectError, TransportError
from osloom.fetch.retries import Retries, retry_after


class Pauses(threading.Event):
    """Notes how long it was waited for, and waits not at all."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.seconds.append(timeout or 0)
        return self.is_set()


def headers(value: str) -> Message:
    made = Message()
    made["Retry-After"] = value
    return made


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7), ("0.5", 0.5), ("", 0), ("soon", 0), ("nan", 0), ("inf", 0), ("-3", -3)],
)
def test_a_server_says_how_long_in_seconds(value: str, seconds: float) -> None:
    assert retry_after(headers(value)) == seconds


def test_a_server_says_until_when() -> None:
    then = format_datetime(datetime.now(UTC) + timedelta(seconds=50), usegmt=True)
    assert 40 < retry_after(headers(then)) <= 50
    past = format_datetime(datetime.now(UTC) - timedelta(days=1), usegmt=True)
    assert retry_after(headers(past)) == 0


def fail(tries: Retries, error: Exception) -> int:
    """How often it may be tried."""
    count = 0
    try:
        while True:
            count += 1
            with tries.transport():
                raise error
            tries.wait()
    except FetchError:
        return count


def test_pauses_double() -> None:
    pauses = Pauses()
    assert fail(Retries("host", pauses), TransportError("broke")) == 6
    assert pauses.seconds == [0.5, 1, 2, 4, 8]


def test_where_nothing_listens_it_is_soon_given_up() -> None:
    assert fail(Retries("host", Pauses()), ConnectError("refused")) == 3


def test_what_a_server_asks_for_is_the_least_and_not_without_end() -> None:
    pauses = Pauses()
    tries = Retries("host", pauses)
    for seconds in (3.0, 0.0, 1e9):
        tries.failed("it is busy", seconds)
        tries.wait()
    assert pauses.seconds == [3, 1, retries._LONGEST_PAUSE]


def test_progress_forgets_what_failed_before() -> None:
    tries = Retries("host", Pauses())
    for _ in range(20):
        tries.failed("it ended early")
        tries.moved()
        tries.wait()


def test_a_certificate_that_is_not_valid_is_not_tried_again() -> None:
    error = ConnectError("no")
    error.__cause__ = ssl.SSLCertVerificationError("no")
    error.__cause__.verify_message = "self-signed"
    assert fail(Retries("host", Pauses()), error) == 1


def test_who_is_stopped_does_not_wait() -> None:
    stopped = Pauses()
    stopped.set()
    tries = Retries("host", stopped)
    tries.failed("it is busy")
    with pytest.raises(FetchError, match="stopped"):
        tries.wait()


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("0", 0),
        ("17", 17),
        ("", None),
        ("-1", None),
        ("²", None),
        ("9" * 5000, None),
        ("1.5", None),
    ],
)
def test_a_count_of_a_server_is_one_or_none(text: str, count: int | None) -> None:
    assert to_number(text) == count
