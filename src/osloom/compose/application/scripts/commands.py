"""The commands of maintainer scripts that can be done without them: accounts, alternatives, files."""

import re
from collections.abc import Sequence

import msgspec

from osloom.base.numbers import LAST_ID, to_number
from osloom.compose.application.scripts.changes import Change, understand
from osloom.compose.application.scripts.walk import Reached, is_unknown
from osloom.compose.application.sysusers import Declared


class Alternative(msgspec.Struct, frozen=True, kw_only=True):
    """One choice for a name, update-alternatives(1)."""

    link: str
    """The path that programs use: `/usr/bin/awk`."""
    name: str
    """Of the link between, in /etc/alternatives: `awk`."""
    path: str
    """What it should lead to: `/usr/bin/mawk`."""
    priority: int
    """The highest is taken."""
    slaves: tuple[tuple[str, str, str], ...] = ()
    """Link, name and path of those that follow it."""


class Understood(msgspec.Struct, kw_only=True):
    """What of a script's commands can be done without it; the others are `left`."""

    alternatives: list[Alternative] = []
    users: tuple[Declared, ...] = ()
    changes: list[Change] = []
    left: list[Reached] = []


def understood(reached: Sequence[Reached]) -> Understood:
    """The commands of a package's scripts, in their order, parted."""
    found = Understood()
    for command in reached:
        words = command.words
        program = words[0].rpartition("/")[2] if words else ""
        plain = not command.writes and not any(is_unknown(word) for word in words)
        if plain and _declares(program, words, found):
            continue
        changes = understand(words) if words and plain and command.sure else None
        if changes is None:
            found.left.append(command)
        else:
            found.changes += changes
    return found


def _declares(program: str, words: tuple[str, ...], found: Understood) -> bool:
    """Accounts and alternatives: to have one that a condition spares does no harm."""
    if program == "update-alternatives":
        return _alternative(words, found.alternatives)
    if program in ("adduser", "useradd", "addgroup", "groupadd", "usermod"):
        declared = _account(program, words[1:])
        found.users += tuple(one for one in declared if one not in found.users)
        found.changes += [change for one in declared if (change := _home(program, words, one))]
        return bool(declared)
    return False


def _alternative(words: tuple[str, ...], alternatives: list[Alternative]) -> bool:
    if "--install" not in words:
        return True  # takes away, or chooses among what is there
    at = words.index("--install")
    match words[at + 1 : at + 5]:
        case (link, name, path, priority) if re.fullmatch(r"-?\d+", priority):
            rest = words[at + 5 :]
            slaves = tuple(
                (rest[place + 1], rest[place + 2], rest[place + 3])
                for place, word in enumerate(rest)
                if word in ("--slave", "--follower") and len(rest) > place + 3
            )
            found = Alternative(
                link=link, name=name, path=path, priority=int(priority), slaves=slaves
            )
            alternatives.append(found)
            return True
        case _:
            return False


_VALUED = {
    *(
        "home",
        "shell",
        "uid",
        "gid",
        "ingroup",
        "gecos",
        "comment",
        "firstuid",
        "lastuid",
        "home-dir",
    ),
    *(
        "groups",
        "firstgid",
        "lastgid",
        "conf",
        "base-dir",
        "add-subids-for-system",
        "password",
        "root",
    ),
}
_SHORT = {"d": "home", "s": "shell", "u": "uid", "g": "gid", "c": "comment", "G": "groups"}


def _account(program: str, words: Sequence[str]) -> tuple[Declared, ...]:
    """The accounts that adduser(8), useradd(8) and their like make."""
    options, names = _options(words)
    group_only = program in ("addgroup", "groupadd")
    number = options.get("gid" if group_only else "uid", "")
    match names:
        case [name] if group_only or (program == "adduser" and _only_group(options)):
            return (Declared(kind="group", name=name, number=_number(number)),)
        case [user, group] if program in ("adduser", "addgroup"):
            return (Declared(kind="member", name=user, group=group),)
        case [name] if program == "usermod":
            groups = options.get("groups", "").split(",")
            return tuple(Declared(kind="member", name=name, group=one) for one in groups if one)
        case [name]:
            own = "group" in options or "user-group" in options or "U" in options
            primary = options.get("ingroup") or options.get("gid")
            if primary is None and not own and program == "adduser":
                primary = "nogroup"
            return (
                Declared(
                    kind="user",
                    name=name,
                    number=_number(number),
                    group=primary,
                    comment=options.get("comment") or options.get("gecos") or "",
                    home=options.get("home") or options.get("home-dir") or "/nonexistent",
                    shell=options.get("shell") or None,
                ),
            )
        case _:
            return ()


def _home(program: str, words: Sequence[str], account: Declared) -> Change | None:
    """The directory that adduser(8) makes for a user, and useradd(8) where it is told to."""
    options, _ = _options(words[1:])
    wanted = program == "adduser" or bool({"m", "create-home"} & options.keys())
    if account.kind != "user" or not wanted or "no-create-home" in options:
        return None
    home = account.home.rstrip("/")
    if not home.startswith("/") or home == "/nonexistent":
        return None
    return Change(
        kind="home",
        path=home,
        user=account.name,
        group=account.group or account.name,
        # SYS_DIR_MODE of adduser.conf(5), HOME_MODE of login.defs(5)
        mode=0o755 if program == "adduser" else 0o700,
    )


def _only_group(options: dict[str, str]) -> bool:
    return "group" in options and "system" not in options


def _number(text: str) -> int | None:
    return to_number(text, LAST_ID)


def _options(words: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    options: dict[str, str] = {}
    operands = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            operands += rest
            break
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            options[name] = value if equals or name not in _VALUED or not rest else rest.pop(0)
        elif word.startswith("-") and len(word) > 1:
            name = _SHORT.get(word[1], word[1:])
            options[name] = word[2:] or (rest.pop(0) if word[1] in _SHORT and rest else "")
        else:
            operands.append(word)
    return options, operands
