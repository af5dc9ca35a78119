"""Accounts that packages declare: sysusers.d(5), read so that nothing has to run for them."""

import re

import msgspec

from osloom.base.numbers import LAST_ID, to_number
from osloom.compose.application.units.file import split_words

_KINDS = {"u": "user", "g": "group", "m": "member", "r": "range"}


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """One line of sysusers.d(5)."""

    kind: str
    """`user` (with a group of the same name unless `group` says another), `group`, `member` (the
    user `name` is in `group`) or `range` (free numbers are taken from `name`)."""
    name: str
    number: int | None = None
    """UID of a user, GID of a group; None where any free one does."""
    group: str | None = None
    """Name or number of a user's primary group, or the group of a member."""
    owner_of: str | None = None
    """A path in the image whose owner gives the number, instead of `number`."""
    locked: bool = False
    """`u!`: the account as a whole is locked, not only its password."""
    comment: str = ""
    home: str = "/"
    shell: str | None = None
    """None: /usr/sbin/nologin, and root's /bin/sh."""


def sysusers(text: str) -> tuple[Declared, ...]:
    """The lines of a file below /usr/lib/sysusers.d; those that are not of its form are passed over.

    Of lines with specifiers only `%%` has the same meaning in every image; the others are left out.
    """
    declared = []
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            found = _declared(list(split_words(line)))
            if found:
                declared.append(found)
    return tuple(declared)


def _declared(words: list[str]) -> Declared | None:
    if len(words) < 2 or any(re.search("%[^%]", word.replace("%%", "")) for word in words):
        return None
    first, name, identity, comment, home, shell = [
        "" if word == "-" else word.replace("%%", "%") for word in (*words, *[""] * 6)[:6]
    ]
    kind = _KINDS.get(first.rstrip("!"))
    if kind is None or (not name and kind != "range"):
        return None
    if kind == "range":
        return Declared(kind=kind, name=identity or name)
    if kind == "member":
        return Declared(kind=kind, name=name, group=identity) if identity else None
    owner_of = identity if identity.startswith("/") else None
    number, _, group = ("", "", "") if owner_of else identity.partition(":")
    return Declared(
        kind=kind,
        name=name,
        number=to_number(number, LAST_ID),
        group=group or None,
        owner_of=owner_of,
        locked=first.endswith("!"),
        comment=comment,
        home=home or "/",
        shell=shell or None,
    )
