"""Which files git knows in a work tree: the names in its index.

https://git-scm.com/docs/index-format, versions 2 to 4.
"""

import os
from pathlib import Path

from osloom.base.errors import LockError

_HEAD = 12
_ENTRY = 62
"""Bytes of an entry before its name; 2 more with extended flags."""
_EXTENDED = 0x4000


def tracked(top: Path) -> list[str]:
    """The files that the index of the work tree `top` names, sorted. Raises LockError, OSError."""
    directory = top / ".git"
    if directory.is_file():
        named = directory.read_text().removeprefix("gitdir:").strip()
        directory = Path(os.path.normpath(top / named))
    index = directory / "index"
    if not index.exists():
        return []
    try:
        return sorted(set(parse_index(index.read_bytes())))
    except (IndexError, ValueError) as error:
        raise LockError(
            f"cannot read {index}: it is no index of git", hint="see what `git status` says"
        ) from error


def parse_index(data: bytes) -> list[str]:
    """The names in an index. Raises ValueError or IndexError for what is none."""
    version = int.from_bytes(data[4:8])
    if data[:4] != b"DIRC" or version not in (2, 3, 4) or len(data) < _HEAD:
        raise ValueError("no index")
    names: list[str] = []
    at, before, cut = _HEAD, b"", 0
    for _ in range(int.from_bytes(data[8:12])):
        start = at
        flags = int.from_bytes(data[at + 60 : at + 62])
        at += _ENTRY + (2 if version > 2 and flags & _EXTENDED else 0)
        if version == 4:
            cut, at = _number(data, at)
            if cut > len(before):
                raise ValueError("no index")
        end = data.index(b"\0", at)
        name = data[at:end]
        if version == 4:
            name = before[: len(before) - cut] + name
            before, at = name, end + 1
        else:
            # Filled with up to eight zeros, to a multiple of eight bytes.
            at = start + (end - start) // 8 * 8 + 8
        names.append(os.fsdecode(name))
    return names


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A number of variable width, as of offsets in packs; and where it ends."""
    byte = data[at]
    value = byte & 0x7F
    while byte & 0x80:
        at += 1
        byte = data[at]
        value = (value + 1) << 7 | byte & 0x7F
    return value, at + 1
