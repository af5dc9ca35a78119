"""Users and groups of an image: edits of passwd(5), group(5), shadow(5), gshadow(5)."""

from collections.abc import Mapping

import msgspec

from osloom.base.errors import BuildError, nearest
from osloom.base.numbers import LAST_ID, to_number
from osloom.model.definition import Group, User

_PERSONS = range(1000, 60000)
_SYSTEM = range(999, 99, -1)
"""Free numbers are searched in this order, as adduser(8) and sysusers.d(5) do."""


class Accounts(msgspec.Struct):
    """The four files as lines of fields; `files` gives them back."""

    passwd: list[list[str]]
    group: list[list[str]]
    shadow: list[list[str]]
    gshadow: list[list[str]]
    others: Mapping[str, list[str]]
    """Lines of each file that are no account: of NIS, or broken. They stay, last."""
    homes: list[tuple[str, int, int, tuple[str, ...]]] = []
    """Home directories to make: path, owner, group, authorized keys."""

    @classmethod
    def parse(cls, read: Mapping[str, str]) -> "Accounts":
        """From the texts of `passwd`, `group`, `shadow`, `gshadow`; missing ones start bare."""
        passwd = read.get("passwd") or "root:x:0:0:root:/root:/bin/sh\n"
        group = read.get("group") or "root:x:0:\n"
        shadow = read.get("shadow") or "root:*:::::::\n"
        gshadow = read.get("gshadow") or "root:*::\n"
        texts = {"passwd": passwd, "group": group, "shadow": shadow, "gshadow": gshadow}
        found = {name: _rows(text, name) for name, text in texts.items()}
        return cls(
            passwd=found["passwd"][0],
            group=found["group"][0],
            shadow=found["shadow"][0],
            gshadow=found["gshadow"][0],
            others={name: others for name, (_, others) in found.items()},
        )

    def files(self) -> dict[str, str]:
        tables = {
            "passwd": self.passwd,
            "group": self.group,
            "shadow": self.shadow,
            "gshadow": self.gshadow,
        }
        return {
            name: "".join(f"{line}\n" for line in [*map(":".join, rows), *self.others[name]])
            for name, rows in tables.items()
        }

    def uid(self, name: str) -> int:
        return _number(name, self.passwd, "user")

    def gid(self, name: str) -> int:
        return _number(name, self.group, "group")

    def add_group(self, name: str, group: Group) -> int:
        for row in self.group:
            if row[0] == name:
                if group.gid is not None and int(row[2]) != group.gid:
                    raise BuildError(
                        f"cannot make group `{name}`: it is there already, with number {row[2]}",
                        hint="leave `gid` out, or choose another name",
                    )
                return int(row[2])
        gid = group.gid if group.gid is not None else _free(self.group, system=group.system)
        _check_free(gid, self.group, f"group `{name}`")
        self.group.append([name, "x", str(gid), ""])
        self.gshadow.append([name, "!", "", ""])
        return gid

    def add_user(self, name: str, user: User, *, epoch: int) -> None:
        """Make the user, or change what the packages made of it."""
        rows = [row for row in self.passwd if row[0] == name]
        if rows:
            row = rows[0]
            if user.uid is not None and int(row[2]) != user.uid:
                raise BuildError(
                    f"cannot make user `{name}`: it is there already, with number {row[2]}",
                    hint="leave `uid` out, or choose another name",
                )
        else:
            row = self._new_user(name, user)
            self.passwd.append(row)
        if user.shell is not None:
            row[6] = user.shell
        if user.home is not None:
            row[5] = user.home
        self._set_password(row, user, epoch)
        for group in user.groups:
            self._join(name, group)
        if not user.system or user.home is not None or user.authorized_keys:
            self.homes.append((row[5], int(row[2]), int(row[3]), user.authorized_keys))

    def _new_user(self, name: str, user: User) -> list[str]:
        uid = user.uid if user.uid is not None else _free(self.passwd, system=user.system)
        _check_free(uid, self.passwd, f"user `{name}`")
        if user.group is not None:
            gid = self.gid(user.group)
        else:
            taken = any(row[2] == str(uid) for row in self.group)
            gid = self.add_group(name, Group(gid=None if taken else uid, system=user.system))
        home = user.home or ("/nonexistent" if user.system else f"/home/{name}")
        shell = user.shell or ("/usr/sbin/nologin" if user.system else "/bin/bash")
        return [name, "x", str(uid), str(gid), user.comment, home, shell]

    def _set_password(self, account: list[str], user: User, epoch: int) -> None:
        name = account[0]
        rows = [row for row in self.shadow if row[0] == name]
        if not rows:
            rows = [[name, "!*", str(epoch // 86400), "0", "99999", "7", "", "", ""]]
            self.shadow.extend(rows)
        if user.password is not None:
            if not user.password.startswith(("$", "!", "*")):
                raise BuildError(
                    f"cannot set the password of `{name}`: it is not a crypt(5) hash",
                    hint="make one with `openssl passwd -6`; a plain password never goes here",
                )
            rows[0][1] = user.password
            # Where base-passwd's `*` stands nobody looks into shadow, passwd(5).
            account[1] = "x"

    def _join(self, name: str, group: str) -> None:
        self.gid(group)
        for table in (self.group, self.gshadow):
            for row in table:
                if row[0] == group:
                    members = [member for member in row[3].split(",") if member]
                    row[3] = ",".join([*members, *([] if name in members else [name])])


_FIELDS = {"passwd": 7, "group": 4, "shadow": 9, "gshadow": 4}


def _rows(text: str, name: str) -> tuple[list[list[str]], list[str]]:
    """The accounts of a file, with all their fields, and its other lines."""
    rows: list[list[str]] = []
    others: list[str] = []
    for line in text.splitlines():
        row = line.split(":")
        numbered = name not in ("passwd", "group") or (row[2:] and to_number(row[2]) is not None)
        if row[0] and len(row) <= _FIELDS[name] and numbered:
            rows.append(row + [""] * (_FIELDS[name] - len(row)))
        elif line:
            others.append(line)
    return rows, others


def _number(name: str, rows: list[list[str]], what: str) -> int:
    number = to_number(name, LAST_ID)
    if number is not None:
        return number
    for row in rows:
        if row[0] == name:
            return int(row[2])
    close = nearest(name, [row[0] for row in rows])
    hint = f"did you mean `{close[0]}`?" if close else f"make it: a table under `{what}s`"
    raise BuildError(f"cannot find the {what} `{name}` in the image", hint=hint)


def _free(rows: list[list[str]], *, system: bool) -> int:
    taken = {int(row[2]) for row in rows}
    return next(number for number in (_SYSTEM if system else _PERSONS) if number not in taken)


def _check_free(number: int, rows: list[list[str]], what: str) -> None:
    for row in rows:
        if int(row[2]) == number:
            raise BuildError(
                f"cannot make {what}: number {number} belongs to `{row[0]}`",
                hint="choose another number, or leave it out",
            )
