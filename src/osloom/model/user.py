"""Who the program of a container runs as: `User` of the image configuration.

https://github.com/opencontainers/image-spec/blob/main/config.md: `user`, `uid`, `user:group` …;
names are looked up in the image, and so is the group when there is none.
"""

import msgspec

from osloom.base.errors import UsageError, nearest
from osloom.base.numbers import LAST_ID, to_number


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    """More groups, of a user that the image knows."""
    home: str = "/"

    def __str__(self) -> str:
        return f"{self.uid}:{self.gid}"


def find_user(text: str | None, *, passwd: str, group: str) -> Identity:
    """`passwd` and `group` are the image's files. Raises UsageError for a name not in them."""
    user, colon, own_group = (text or "0").partition(":")
    users, groups = _rows(passwd, 7), _rows(group, 4)
    row = next((one for one in users if user in (one[0], one[2])), None)
    if row is None and to_number(user, LAST_ID) is None:
        raise UsageError(
            f"cannot run as `{user}`: the image has no such user",
            hint=_hint(user, [one[0] for one in users]),
        )
    name, uid, gid, home = (row[0], row[2], row[3], row[5]) if row else ("", user, "0", "/")
    if colon:
        return Identity(uid=int(uid), gid=_group(own_group, groups), home=home or "/")
    more = tuple(int(one[2]) for one in groups if name and name in one[3].split(","))
    own = to_number(gid, LAST_ID) or 0
    return Identity(uid=int(uid), gid=own, groups=more, home=home or "/")


def _group(group: str, groups: list[list[str]]) -> int:
    found = next((one[2] for one in groups if one[0] == group), group)
    number = to_number(found, LAST_ID)
    if number is None:
        raise UsageError(
            f"cannot run with the group `{group}`: the image has no such group",
            hint=_hint(group, [one[0] for one in groups]),
        )
    return number


def _hint(name: str, names: list[str]) -> str:
    close = nearest(name, names)
    return f"did you mean `{close[0]}`?" if close else "make it: a table under `users` or `groups`"


def _rows(text: str, count: int) -> list[list[str]]:
    """Lines of passwd(5) or group(5) that have all their fields and a number."""
    rows = [line.split(":") for line in text.splitlines()]
    return [row for row in rows if len(row) == count and to_number(row[2], LAST_ID) is not None]
