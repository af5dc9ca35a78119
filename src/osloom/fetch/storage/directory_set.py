"""Small files of a directory that change together, at one moment.

    SHA256SUMS     -> .together/SHA256SUMS
    SHA256SUMS.gpg -> .together/SHA256SUMS.gpg
    .together      -> .together-0f3a…

The files lie in a directory of their own, named for their content; rename(2) puts another link in
the place of `.together`. Whoever is killed, or looks, at any moment, leaves or sees all of the old
or all of the new.
"""

import contextlib
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from osloom.base.files import remove_tree, write_atomic

_LINK = ".together"


def write_set(root: Path, files: Mapping[str, bytes]) -> None:
    """Replace `files` in `root`, by their names. Raises OSError where there can be no links."""
    found = hashlib.sha256()
    for name, content in files.items():
        found.update(f"{name}\0{len(content)}\0".encode() + content)
    made = root / f"{_LINK}-{found.hexdigest()[:16]}"
    made.mkdir(exist_ok=True)
    for name, content in files.items():
        write_atomic(made / name, content)
    before = _target(root / _LINK)
    _point(root / _LINK, made.name)
    for name in files:
        if _target(root / name) != f"{_LINK}/{name}":
            _point(root / name, f"{_LINK}/{name}")
    _sync(root)
    for other in root.glob(f"{_LINK}-*"):
        # One that reads may be between the link and what it has led to.
        if other.name not in (made.name, before):
            remove_tree(other)


def _target(link: Path) -> str | None:
    return str(link.readlink()) if link.is_symlink() else None


def _point(link: Path, target: str) -> None:
    new = link.with_name(f"{link.name}.new")
    with contextlib.suppress(FileNotFoundError):
        new.unlink()
    new.symlink_to(target)
    new.replace(link)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
