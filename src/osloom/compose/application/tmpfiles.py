"""Directories, files and links that packages declare: tmpfiles.d(5), the lines an image can hold."""

import re

import msgspec

from osloom.compose.application.units.file import Specifiers, split_words, unescape_c

_DIRECTORIES = "dDvqQ"
"""Subvolumes are directories where the file system has none."""


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """One line of tmpfiles.d(5) that makes something at its path."""

    kind: str
    """`dir`, `file`, `symlink` or `copy`."""
    path: str
    """With a leading slash and without one at the end."""
    mode: int | None = None
    """None: 0o755 for a directory, 0o644 for a file."""
    user: str = "root"
    group: str = "root"
    """Names or numbers."""
    replace: bool = False
    """`f+`, `L+`: what is there already gives way; else it stays (a directory gets mode and owner)."""
    content: str = ""
    """Of a file; or where the link points; or what is copied. Of `L` and `C` without one:
    `/usr/share/factory` and the path."""


def tmpfiles(text: str) -> tuple[Declared, ...]:
    """The lines d, D, v, q, Q, f, L and C of a file below /usr/lib/tmpfiles.d.

    Left out: what only holds at boot (`!`), what cleans or sets attributes, and paths or contents
    with specifiers that only a machine has.
    """
    declared = []
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            found = _declared(line)
            if found:
                declared.append(found)
    return tuple(declared)


def _declared(line: str) -> Declared | None:
    # The last field is the rest of the line: its quotes are its own.
    fields = re.match(r"""\s*((?:(?:"[^"]*"|'[^']*'|\S+)\s*){1,6})(.*)""", line)
    if fields is None:
        return None
    words = split_words(fields[1])
    kind, path, mode, user, group, _ = [
        "" if word == "-" else word for word in (*words, *[""] * 6)[:6]
    ]
    content = "" if fields[2].strip() == "-" else fields[2].strip()
    letter, flags = kind[:1], kind[1:]
    unknown: list[str] = []
    path, content = (Specifiers("").expand(one, unknown.append) for one in (path, content))
    if unknown or "!" in flags or not path.startswith("/"):
        return None
    owned = {
        "path": re.sub("/+", "/", path).rstrip("/") or "/",
        "user": user.lstrip(":") or "root",
        "group": group.lstrip(":") or "root",
        "replace": "+" in flags,
    }
    digits = mode.lstrip(":~")
    permission = int(digits, 8) if re.fullmatch("[0-7]{1,5}", digits) else None
    if letter in _DIRECTORIES and letter:
        return Declared(kind="dir", mode=permission, **owned)  # type: ignore[arg-type]
    if letter == "f":
        return Declared(kind="file", mode=permission, content=unescape_c(content), **owned)  # type: ignore[arg-type]
    if letter in ("L", "C") and "?" not in flags:
        target = content or f"/usr/share/factory{path}"
        kind = "symlink" if letter == "L" else "copy"
        return Declared(kind=kind, mode=permission, content=target, **owned)  # type: ignore[arg-type]
    return None
