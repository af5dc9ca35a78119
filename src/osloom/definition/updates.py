"""What types cannot say about how devices update themselves."""

import ipaddress
from collections.abc import Iterator
from urllib.parse import urlsplit

from osloom.base.errors import nearest
from osloom.definition.check import Mistake
from osloom.definition.check import Path as KeyPath
from osloom.model.definition import Image

_MOMENTS = ("now", "never")


def check_update(image: Image, path: KeyPath) -> Iterator[Mistake]:
    """Mistakes in `[image.NAME.update]`; `path` is the image's."""
    yield from _check_reboot(image.update.reboot, (*path, "update", "reboot"))
    if image.update.url is not None:
        yield from _check_url(image.update.url, (*path, "update", "url"))


def _check_reboot(moment: str, place: KeyPath) -> Iterator[Mistake]:
    if moment in _MOMENTS:
        return
    # Few definitions have one, and its grammar takes time to load.
    from osloom.model.calendar_event import DAYS, SHORTHANDS, is_calendar_event

    if is_calendar_event(moment.strip()):
        return
    # systemd on the device would refuse the timer, and no version would ever be started.
    said = f"`reboot` cannot be `{moment}`: no device could tell when that is"
    first, _, behind = moment.lower().partition(" ")
    days = [name.lower() for day in DAYS for name in (day, day[:3])]
    close = nearest(first, days if behind else [*_MOMENTS, *SHORTHANDS])
    if close:
        meant = " ".join((close[0].capitalize() if behind else close[0], *behind.split()))
        if meant in _MOMENTS or is_calendar_event(meant):
            yield Mistake(place, said, f"did you mean `{meant}`?")
            return
    hint = "it is `now`, `never`, or a moment of systemd.time(7), as in `Sun 03:00`"
    yield Mistake(place, said, hint)


def _check_url(url: str, place: KeyPath) -> Iterator[Mistake]:
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
