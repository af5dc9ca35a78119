"""Changes of files that maintainer scripts make, as data: chown(1), mkdir(1), ln(1) and their like."""

import re
from collections.abc import Callable, Iterable, Sequence

import msgspec

from osloom.base.digest import digest_bytes
from osloom.model.tree import Node, Tree, parents, resolve_links


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One change of files that a script makes in any image."""

    kind: str
    """`dir`, `file` (an empty one), `symlink`, `copy`, `owner` (owner and mode of what is there),
    or `home` (a directory that stays as it is when it is there)."""
    path: str
    """With its leading slash and none at its end."""
    user: str | None = None
    """A name or a number, as `group`; None: as it is."""
    group: str | None = None
    mode: int | None = None
    recursive: bool = False
    source: str = ""
    """What a copy is made of; where a link points."""


def understand(words: Sequence[str]) -> list[Change] | None:
    """The changes that a command makes; None where it is not one of those, or not plain enough."""
    reader = _READERS.get(words[0].rpartition("/")[2])
    return reader(list(words[1:])) if reader else None


def _statoverride(words: list[str]) -> list[Change] | None:
    match [word for word in words if not word.startswith("--")]:
        case [user, group, mode, path] if _OCTAL.fullmatch(mode) and "--add" in words:
            return [_change("owner", path, user=user, group=group, mode=int(mode, 8))]
        case _:
            return [] if {"--list", "--remove"} & set(words) else None


def _chown(words: list[str]) -> list[Change] | None:
    options, operands = _parted(words)
    user, _, group = (operands or [""])[0].replace(".", ":").partition(":")
    recursive = bool({"R", "recursive"} & options)
    return _each(operands[1:], "owner", user=user or None, group=group or None, recursive=recursive)


def _chgrp(words: list[str]) -> list[Change] | None:
    options, operands = _parted(words)
    recursive = bool({"R", "recursive"} & options)
    return _each(operands[1:], "owner", group=(operands or [""])[0], recursive=recursive)


def _chmod(words: list[str]) -> list[Change] | None:
    options, operands = _parted(words)
    if not operands or not _OCTAL.fullmatch(operands[0]) or {"R", "recursive"} & options:
        return None
    return _each(operands[1:], "owner", mode=int(operands[0], 8))


def _mkdir(words: list[str]) -> list[Change] | None:
    values, words = _values(words, {"-m": "mode", "--mode": "mode"})
    mode = values.get("mode", "755")
    if not _OCTAL.fullmatch(mode):
        return None
    return _each(_parted(words)[1], "dir", mode=int(mode, 8) if "mode" in values else None)


def _install(words: list[str]) -> list[Change] | None:
    letters = {"-m": "mode", "-o": "user", "-g": "group"}
    values, words = _values(words, {**letters, "--mode": "mode", "--owner": "user"})
    options, operands = _parted(words)
    mode = values.get("mode", "755")
    if not {"d", "directory"} & options or not _OCTAL.fullmatch(mode):
        return None
    owner = {"user": values.get("user"), "group": values.get("group")}
    return _each(operands, "dir", mode=int(mode, 8), **owner)


def _touch(words: list[str]) -> list[Change] | None:
    return _each(words, "file")


def _ln(words: list[str]) -> list[Change] | None:
    options, operands = _parted(words)
    if "s" not in options or len(operands) != 2:
        return None
    source, path = operands
    return _each(
        [path + source.rpartition("/")[2] if path.endswith("/") else path], "symlink", source=source
    )


def _cp(words: list[str]) -> list[Change] | None:
    options, operands = _parted(words)
    if {"r", "R", "a"} & options or len(operands) != 2 or operands[1].endswith("/"):
        return None
    return (
        _each(operands[1:], "copy", source=operands[0]) if _PLAIN.fullmatch(operands[0]) else None
    )


def _ucf(words: list[str]) -> list[Change] | None:
    options, operands = _parted(words)
    return [] if {"purge", "p"} & options else _cp(operands)


_READERS: dict[str, Callable[[list[str]], list[Change] | None]] = {
    "chown": _chown,
    "chgrp": _chgrp,
    "chmod": _chmod,
    "mkdir": _mkdir,
    "install": _install,
    "touch": _touch,
    "ln": _ln,
    "cp": _cp,
    "ucf": _ucf,
    "dpkg-statoverride": _statoverride,
}
_OCTAL = re.compile("[0-7]{3,5}")
_PLAIN = re.compile(r"/[^*?\[]*")


def _change(kind: str, path: str, **fields: object) -> Change:
    return msgspec.convert({"kind": kind, "path": path.rstrip("/") or "/", **fields}, Change)


def _each(paths: Sequence[str], kind: str, **fields: object) -> list[Change] | None:
    if not paths or not all(_PLAIN.fullmatch(path) for path in paths):
        return None
    return [_change(kind, path, **fields) for path in paths]


def _parted(words: Iterable[str]) -> tuple[set[str], list[str]]:
    """The letters and long names of the options, and the operands."""
    options: set[str] = set()
    operands = []
    for word in words:
        if word.startswith("--"):
            options.add(word[2:].partition("=")[0])
        elif word.startswith("-") and len(word) > 1:
            options.update(word[1:])
        else:
            operands.append(word)
    return options, operands


def _values(words: list[str], named: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """The values of the options `named`, and the other words."""
    values: dict[str, str] = {}
    rest: list[str] = []
    left = list(words)
    while left:
        word = left.pop(0)
        option, equals, value = word.partition("=")
        if option in named and not equals and left:
            value = left.pop(0)
        elif word[:2] in named and not equals and len(word) > 2:
            option, value = word[:2], word[2:]
        elif re.fullmatch("-[a-z]+m", word) and left:
            rest.append(word[:-1])  # as in `-dm 755`
            option, value = "-m", left.pop(0)
        if option in named:
            values[named[option]] = value
        else:
            rest.append(word)
    return values, rest


def apply_changes(
    tree: Tree, changes: Iterable[Change], *, uid: Callable[[str], int], gid: Callable[[str], int]
) -> Tree:
    """`tree` with the changes made, in their order; what is there already is never replaced.

    `uid` and `gid` give the numbers of names. Changes of what is not there are passed over. The
    caller keeps the empty blob, the content of new files.
    """
    nodes = dict(tree)
    for change in changes:
        # The last part may be a link itself: it is what is made, or given away.
        above, _, name = change.path.strip("/").rpartition("/")
        if name in ("", ".", ".."):
            continue  # The root is nobody's to give away, and these are no names.
        path = f"{resolve_links(nodes, above)}/{name}".lstrip("/")
        if change.kind == "owner":
            below = f"{path}/"
            for one in [one for one in nodes if change.recursive and one.startswith(below)]:
                nodes[one] = _owned(nodes[one], change, uid, gid)
        elif change.kind == "home" and path in nodes:
            continue
        elif path not in nodes:
            made = _made(nodes, change)
            if made is not None:
                nodes[path] = made
                for directory in parents(path):
                    nodes.setdefault(directory, Node("dir", 0o755))
        if path in nodes:
            nodes[path] = _owned(nodes[path], change, uid, gid)
    return Tree(nodes)


def _made(nodes: dict[str, Node], change: Change) -> Node | None:
    match change.kind:
        case "dir" | "home":
            return Node("dir", 0o755)
        case "symlink":
            return Node("symlink", 0o777, target=change.source)
        case "file":
            return Node("file", 0o644, digest=digest_bytes(b""))
        case _:
            source = nodes.get(change.source.strip("/"))
            return source if source is not None and source.kind == "file" else None


def _owned(
    node: Node, change: Change, uid: Callable[[str], int], gid: Callable[[str], int]
) -> Node:
    if node.kind == "hardlink":
        return node
    return msgspec.structs.replace(
        node,
        uid=node.uid if change.user is None else uid(change.user),
        gid=node.gid if change.group is None else gid(change.group),
        mode=node.mode if change.mode is None or node.kind == "symlink" else change.mode,
    )
