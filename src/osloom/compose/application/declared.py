"""Accounts, directories and files that packages declare, made in an application without a script.

sysusers.d(5) and tmpfiles.d(5), and the accounts that every Debian system has with the same
numbers (base-passwd), of which an application has those that are asked for.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING

import msgspec

from osloom.base.numbers import LAST_ID, to_number
from osloom.compose.accounts import Accounts
from osloom.compose.customise import Root
from osloom.model.definition import Group, User
from osloom.model.tree import Node

if TYPE_CHECKING:
    from osloom.compose.application.sysusers import Declared as Account
    from osloom.compose.application.tmpfiles import Declared as Path

USERS = {
    "daemon": 1,
    "bin": 2,
    "sys": 3,
    "sync": 4,
    "games": 5,
    "man": 6,
    "lp": 7,
    "mail": 8,
    "news": 9,
    "uucp": 10,
    "proxy": 13,
    "www-data": 33,
    "backup": 34,
    "list": 38,
    "irc": 39,
    "nobody": 65534,
}
"""Users and their numbers, /usr/share/doc/base-passwd/users-and-groups.txt."""
GROUPS = {
    **{name: number for name, number in USERS.items() if name not in ("games", "nobody", "sync")},
    "adm": 4,
    "tty": 5,
    "disk": 6,
    "audio": 29,
    "shadow": 42,
    "utmp": 43,
    "video": 44,
    "man": 12,
    "staff": 50,
    "games": 60,
    "users": 100,
    "nogroup": 65534,
}
_NOLOGIN = "/usr/sbin/nologin"
_OF_MACHINES = ("/proc/", "/sys/", "/dev/", "/run/")


def add_declared_accounts(root: Root, accounts: Accounts) -> None:
    """The users and groups of the packages' sysusers.d files."""
    from osloom.compose.application.sysusers import sysusers

    lines = [one for text in _texts(root, "usr/lib/sysusers.d/") for one in sysusers(text)]
    # As systemd-sysusers does it: groups before the users that name them, members last.
    order = ("group", "user", "member")
    for one in sorted(lines, key=lambda one: order.index(one.kind) if one.kind in order else 3):
        add_account(accounts, one, epoch=root.epoch)


def add_account(accounts: Accounts, one: "Account", *, epoch: int) -> None:
    """What one line of sysusers.d declares, where it is not there already."""
    if one.kind == "group":
        _add_group(accounts, one.name, one.number)
    elif one.kind == "user":
        _add_user(accounts, one, epoch=epoch)
    elif one.kind == "member" and one.group and _has(accounts.passwd, one.name):
        add_member(accounts, one.name, one.group, epoch=epoch)


def add_user(accounts: Accounts, name: str, *, epoch: int) -> None:
    """The user `name`, where there is none: with the number that Debian gives it, or a free one."""
    if _is_known(accounts.passwd, name):
        return
    number = USERS.get(name)
    group = "nogroup" if name in ("nobody", "sync") else name
    add_group(accounts, group)
    user = User(uid=number, group=group, system=True, shell=_NOLOGIN)
    accounts.add_user(name, user, epoch=epoch)


def add_group(accounts: Accounts, name: str) -> None:
    if to_number(name, LAST_ID) is None:
        _add_group(accounts, name, GROUPS.get(name))


def add_member(accounts: Accounts, user: str, group: str, *, epoch: int) -> None:
    add_group(accounts, group)
    accounts.add_user(user, User(system=True, groups=(group,)), epoch=epoch)


def _add_group(accounts: Accounts, name: str, number: int | None) -> None:
    if not _has(accounts.group, name):
        taken = any(row[2] == str(number) for row in accounts.group)
        accounts.add_group(name, Group(gid=None if taken else number, system=True))


def _add_user(accounts: Accounts, one: "Account", *, epoch: int) -> None:
    if _has(accounts.passwd, one.name):
        return
    _add_group(accounts, one.group or one.name, None if one.group else one.number)
    taken = any(row[2] == str(one.number) for row in accounts.passwd)
    user = User(
        uid=None if taken else one.number,
        group=one.group or one.name,
        comment=one.comment,
        shell=one.shell or _NOLOGIN,
        system=True,
    )
    accounts.add_user(one.name, user, epoch=epoch)
    # Only the row: the package has the directory, or the service makes it.
    accounts.passwd[-1][5] = one.home


def _has(rows: Iterable[list[str]], name: str) -> bool:
    return any(row[0] == name for row in rows)


def make_declared_paths(
    root: Root, accounts: Accounts, *, answered: Collection[str] = ()
) -> tuple[str, ...]:
    """What the packages' tmpfiles.d files make, where its owner is known.

    Gives a sentence for each file that is another one on every machine; `answered` are paths that
    the definition makes.
    """
    from osloom.compose.application.tmpfiles import tmpfiles

    notes = []
    for text in _texts(root, "usr/lib/tmpfiles.d/"):
        for one in tmpfiles(text):
            if not (_is_known(accounts.passwd, one.user) and _is_known(accounts.group, one.group)):
                continue
            if one.kind == "copy" and one.content.startswith(_OF_MACHINES):
                if root.place(one.path) not in root.nodes and one.path not in answered:
                    notes.append(
                        f"{one.path} would be made on each machine, of {one.content}: mount one "
                        "into the container"
                    )
                continue
            _make(root, accounts, one)
    return tuple(notes)


def _is_known(rows: Iterable[list[str]], name: str) -> bool:
    return to_number(name, LAST_ID) is not None or _has(rows, name)


def _make(root: Root, accounts: Accounts, one: "Path") -> None:
    uid, gid = accounts.uid(one.user), accounts.gid(one.group)
    there = root.nodes.get(root.place(one.path))
    if one.kind == "dir":
        make_directory(root, one.path, one.mode or 0o755, (uid, gid))
    elif one.kind == "copy":
        _copy(root, one, (uid, gid))
    elif there is None or one.replace:
        if one.kind == "symlink":
            root.put(one.path.lstrip("/"), Node("symlink", 0o777, target=one.content))
        else:
            data = one.content.encode()
            node = Node("file", one.mode or 0o644, uid=uid, gid=gid, size=len(data))
            root.put(
                one.path.lstrip("/"), msgspec.structs.replace(node, digest=root.blobs.add(data))
            )


def _copy(root: Root, one: "Path", owner: tuple[int, int]) -> None:
    """A copy of what the image has, with all below it; nothing that is there gives way."""
    source, target = root.place(one.content), root.place(one.path)
    for path, node in sorted(root.nodes.items()):
        if path != source and not path.startswith(f"{source}/"):
            continue
        place = f"{target}{path.removeprefix(source)}"
        if place in root.nodes or node.kind == "hardlink":
            continue
        mode = one.mode if path == source and one.mode is not None else node.mode
        root.put(place, msgspec.structs.replace(node, mode=mode, uid=owner[0], gid=owner[1]))


def make_directory(root: Root, path: str, mode: int, owner: tuple[int, int]) -> None:
    """A directory at `path`; one that is there has this mode and owner from now on."""
    there = root.nodes.get(root.place(path))
    if there is None or there.kind == "dir":
        root.put(path.lstrip("/"), Node("dir", mode, uid=owner[0], gid=owner[1]))


def _texts(root: Root, below: str) -> Iterator[str]:
    for path in sorted(root.nodes):
        if path.startswith(below) and path.endswith(".conf"):
            yield root.read(path)
