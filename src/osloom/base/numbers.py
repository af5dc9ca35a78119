"""Numbers in text that others wrote."""

import re

LAST_SECOND = (1 << 32) - 1
"""Of a time in seconds since 1970: the end of what file systems and archives hold."""
LAST_ID = (1 << 32) - 2
"""Of users and groups; the next one stands for none, chown(2)."""

_NUMBER = re.compile("[0-9]{1,18}")


def to_number(text: str, most: int = 10**18 - 1) -> int | None:
    """The whole number that `text` is, up to `most`; None of anything else.

    `str.isdigit` is true of more than `int` reads, as of `²`; and `int` reads more than is meant:
    signs, blanks, `_` and other scripts. It raises ValueError for thousands of digits.
    """
    number = int(text) if _NUMBER.fullmatch(text) else None
    return number if number is not None and number <= most else None
