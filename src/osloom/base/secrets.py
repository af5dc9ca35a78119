"""Whether this process knows something that no copy of it may know, as a private key."""

import threading

_KNOWN = threading.Event()


def note_secret() -> None:
    """To be called before it is read, or made."""
    _KNOWN.set()


def has_secrets() -> bool:
    return _KNOWN.is_set()
