"""What servers say, which may be anything."""

import re


def number(text: str) -> int | None:
    """A count in a header; a server may write anything there."""
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


def printable(text: str) -> str:
    """Text of a server for a terminal: no control characters, not too much."""
    return "".join(one if one.isprintable() else "?" for one in text[:200])
