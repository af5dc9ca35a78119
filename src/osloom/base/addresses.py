"""Addresses in text for people."""

import re

_LOGIN = re.compile(r"(?<=://)[^\s/?#]*@")
"""What may stand before a host, https://www.rfc-editor.org/rfc/rfc3986#section-3.2.1; a password
with an `@` of its own too."""


def without_logins(text: str) -> str:
    """`text` with its addresses as they are without `user:password@`.

    A name goes as well: many servers take a token in its place.
    """
    return _LOGIN.sub("", text)
