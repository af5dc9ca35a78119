"""Calendar events of systemd.time(7), as OnCalendar= of a timer takes them: `Sun 03:00`.

What systemd takes is never refused: its parser is calendar_spec_from_string() of calendarspec.c.
Of a time zone only the look of its name is known here, the device has the list.
"""

import re
from collections.abc import Mapping
from fractions import Fraction

SHORTHANDS = (
    *("minutely", "hourly", "daily", "weekly", "monthly", "quarterly", "semiannually", "yearly"),
    *("semi-annually", "biannually", "bi-annually", "annually", "anually"),
)
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

_ORDER: Mapping[str, int] = {
    name.lower(): number for number, day in enumerate(DAYS) for name in (day, day[:3])
}
_RANGES: Mapping[str, tuple[int, int]] = {
    "year": (1970, 2200),
    "month": (1, 13),
    "day": (1, 32),
    "last": (1, 29),
    "hour": (0, 24),
    "minute": (0, 60),
    "second": (0, 60),
}
"""The first number, and that behind the last; `last` counts days from the end of a month."""
_NUMBER = r"[0-9]+(?:\.(?!\.)[0-9]*)?"
_PART = re.compile(rf"({_NUMBER})(?:\.\.({_NUMBER}))?(?:/({_NUMBER}))?")
_CHAIN = r"[*]|[0-9.,/]+"
_DATE = re.compile(rf"(?:(?P<year>{_CHAIN})-)?(?P<month>{_CHAIN})(?P<sign>[-~])(?P<day>{_CHAIN})")
_TIME = re.compile(rf"(?P<hour>{_CHAIN}):(?P<minute>{_CHAIN})(?::(?P<second>{_CHAIN}))?")
_SINCE_1970 = re.compile(r"@[0-9]{1,15}")
_ZONE = re.compile(
    # Abbreviations, also of zones that have none; names of files below /usr/share/zoneinfo.
    r"[a-z]{2,5}|[+-][0-9]{2,4}|[a-z0-9_+-]+(/[a-z0-9_+-]+)+|[a-z]{3}[+-]?[0-9]([a-z]{3})?|factory|"
    r"gb-eire|greenwich|hongkong|iceland|israel|jamaica|kwajalein|localtime|navajo|nz-chat|poland|"
    r"portugal|posixrules|singapore|turkey|universal|w-su",
    re.IGNORECASE,
)


def is_calendar_event(text: str) -> bool:
    """Whether a timer of systemd can elapse by it."""
    rest, _, zone = text.rpartition(" ")
    return _is_event(text) or (_ZONE.fullmatch(zone) is not None and _is_event(rest))


def _is_event(text: str) -> bool:
    if text.lower() in SHORTHANDS:
        return True
    if not text.strip():
        return False
    days, _, behind = text.partition(" ")
    if text[0].isalpha():
        return _are_weekdays(days) and _is_moment(behind.lstrip(" "))
    return _is_moment(text)


def _are_weekdays(text: str) -> bool:
    """Names and ranges of them, with `,` between and perhaps behind them."""
    for one in text.removesuffix(",").split(","):
        ends = [_ORDER.get(name.lower()) for name in re.split(r"\.\.|-", one)]
        if None in ends or len(ends) > 2 or ends != sorted(one for one in ends if one is not None):
            return False
    return True


def _is_moment(text: str) -> bool:
    """A date, a time or both; neither is midnight."""
    if not text or _SINCE_1970.fullmatch(text):
        return True
    first, _, behind = text.partition(" ")
    date, time = _DATE.fullmatch(first), _TIME.fullmatch(behind.lstrip(" "))
    if date is None:
        time = _TIME.fullmatch(text)
    elif time is None and text != first:
        return False
    parts = {**(date.groupdict() if date else {}), **(time.groupdict() if time else {})}
    if parts.pop("sign", None) == "~":
        parts["last"] = parts.pop("day")
    return bool(parts) and _holds(parts)


def _holds(parts: Mapping[str, str | None]) -> bool:
    """Whether the numbers of each part of date or time are in their range."""
    return all(text is None or _is_chain(text, name) for name, text in parts.items())


def _is_chain(text: str, name: str) -> bool:
    """`*`, or numbers, ranges and repetitions with `,` between them."""
    return text == "*" or all(_is_part(one, name) for one in text.split(","))


def _is_part(text: str, name: str) -> bool:
    found = _PART.fullmatch(text)
    if found is None or ("." in text.replace("..", "") and name != "second"):
        return False
    start, stop, step = (None if one is None else Fraction(one) for one in found.groups())
    assert start is not None
    if step is not None and step <= 0:
        return False
    if name == "year":
        start, stop = _year(start), None if stop is None else _year(stop)
    least, behind = _RANGES[name]
    if stop is None:
        # Of the last days of a month a step goes back.
        last = start + (step or 0) if name != "last" else start
    else:
        # As far as the steps go: `0..24/17` ends with 17.
        last = stop - (stop - start) % (step or 1)
    return least <= start <= last < behind


def _year(number: Fraction) -> Fraction:
    """Of two digits those of 1970 to 2069."""
    return number + (2000 if number < 70 else 1900) if number < 100 else number
