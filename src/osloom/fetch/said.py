"""What servers say, which may be anything."""


def printable(text: str) -> str:
    """Text of a server for a terminal: no control characters, not too much."""
    return "".join(one if one.isprintable() else "?" for one in text[:200])
