"""Calendar events as systemd 257 judges them; `integration/test_calendar_event.py` asks it."""

import pytest

from osloom.model.calendar_event import is_calendar_event
from support.calendar_events import REFUSED, TAKEN


@pytest.mark.parametrize("text", TAKEN)
def test_what_systemd_takes(text: str) -> None:
    assert is_calendar_event(text)


def test_an_abbreviation_is_of_the_devices_zone() -> None:
    """Only where that is one that has it; here nobody knows."""
    assert is_calendar_event("Sun 03:00 CEST")


@pytest.mark.parametrize("text", REFUSED)
def test_what_systemd_refuses(text: str) -> None:
    assert not is_calendar_event(text)
