"""Numbers that others wrote."""

import pytest

from osloom.base.numbers import LAST_ID, to_number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("007", 7),
        ("9" * 18, 10**18 - 1),
        ("9" * 5000, None),
        ("²", None),
        ("٣", None),
        ("1_0", None),
        ("+1", None),
        ("-1", None),
        (" 1", None),
        ("1\n", None),
        ("", None),
    ],
)
def test_a_number_is_digits_and_nothing_else(text: str, number: int | None) -> None:
    assert to_number(text) == number


def test_a_number_has_an_end() -> None:
    assert to_number("4294967294", LAST_ID) == LAST_ID
    assert to_number("4294967295", LAST_ID) is None
