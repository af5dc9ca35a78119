"""Addresses in text for people."""

import re

_LOGIN = re.compile(r"(?<=://)[^/?#\n\"`]*@")
"""What may stand before a host, https://www.rfc-editor.org/rfc/rfc3986#section-3.2.1; a password
with an `@` or a blank of its own too."""


def without_logins(text: str) -> str:
    """`text` with its addresses as they are without `user:password@`.

    A name goes as well: many servers take a token in its place.
    """
    return _LOGIN.sub("", text)


def without_login(address: str) -> str:
    """`address`, which need not be one, without all that is before its last `@`.

    A `/` or `#` in a password ends it for those who read addresses.
    """
    scheme, mark, rest = address.partition("://")
    return scheme + mark + rest.rpartition("@")[2]
