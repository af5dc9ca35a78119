"""What types cannot say about how devices update themselves."""

import ipaddress
from collections.abc import Iterator
from urllib.parse import urlsplit

from osloom.definition.check import Mistake
from osloom.definition.check import Path as KeyPath
from osloom.model.definition import Image


def check_update(image: Image, path: KeyPath) -> Iterator[Mistake]:
    """Mistakes in `[image.NAME.update]`; `path` is the image's."""
    url = image.update.url
    if url is None:
        return
    place = (*path, "update", "url")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    host = parts.hostname
    if not host:
        yield Mistake(place, f"`{url}` names no host", "write `https://updates.example.com/NAME/`")
    elif parts.query or parts.fragment or parts.username is not None:
        # systemd-sysupdate puts the names of files behind it as it is.
        hint = "devices put the names of files behind it: end it with the directory"
        yield Mistake(place, f"`{url}` is not the address of a directory", hint)
    elif parts.scheme == "http" and not _is_private(host):
        said = f"devices must not fetch from `{host}` over plain HTTP"
        hint = "anyone on the way could hold back updates: write `https://`"
        yield Mistake(place, said, hint)


def _is_private(host: str) -> bool:
    """Whether it is this machine or one of a private network (RFC 1918), by its number."""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return host == "localhost"
