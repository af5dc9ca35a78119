"""Names of units, systemd.unit(5)."""

import string

_PLAIN = string.ascii_letters + string.digits + ":_."


def escape_path(path: str) -> str:
    """What stands for an absolute path in the name of a unit, as `systemd-escape --path` says it."""
    parts = "/".join(part for part in path.split("/") if part)
    made = [
        "-"
        if character == "/"
        else character
        if character in _PLAIN and (number or character != ".")
        else "".join(f"\\x{byte:02x}" for byte in character.encode())
        for number, character in enumerate(parts)
    ]
    return "".join(made) or "-"
