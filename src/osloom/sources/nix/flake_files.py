"""The files of local flakes: whether they have changed, and those that Nix gets.

In a work tree of git, Nix takes the files that git knows. Elsewhere it would take all that lies
there into its store, which everybody may read: the project's private keys too, and what osloom has
made of the flake before. So it gets a copy without them.
"""

import hashlib
import os
import shutil
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

from osloom.base.digest import Digest, from_hex
from osloom.base.errors import LockError
from osloom.base.files import copy_sparse
from osloom.sources.nix.flakes import Flake, inputs_here, repository_of
from osloom.sources.nix.git_index import tracked

_LOCKFILE = "osloom.lock"
_NOT_OF_IT = (_LOCKFILE, "dist", "result", ".git")
"""What osloom, Nix and git write beside a flake."""
_ELSEWHERE = "keep the keys outside of it, or in a work tree of git that ignores them"

Identities = frozenset[tuple[int, int]]
"""Of files, whatever their names are: device and inode."""


def identities(paths: Iterable[Path]) -> Identities:
    """Of those of `paths` that are there."""
    found = (path.stat() for path in paths if path.exists())
    return frozenset((one.st_dev, one.st_ino) for one in found)


def digest_of_files(flake: Flake, apart: Identities = frozenset()) -> Digest | None:
    """Of the files that a local flake can read, so that a change of it is noticed without Nix.

    In a work tree of git those that git knows, as for Nix; else all but what osloom writes itself,
    and but `apart`. Raises LockError when they cannot be read.
    """
    if flake.directory is None:
        return None
    top = repository_of(flake)
    base = top or flake.directory
    try:
        names = tracked(base) if top is not None else sorted(_names(base, apart))
        digest = hashlib.sha256()
        for name in names:
            if name.split("/")[-1] == _LOCKFILE:
                continue
            digest.update(os.fsencode(name) + b"\0" + _content(base / name) + b"\n")
    except OSError as error:
        raise _unreadable(flake, error) from error
    return from_hex(digest.hexdigest())


def check_private(flake: Flake, keys: Iterable[Path]) -> None:
    """Raises LockError where Nix would take one of the private keys in the files `keys`.

    That is with what git knows, or with an input that a local flake.lock names. A flake without git
    is copied, see `Copies`.
    """
    if repository_of(flake) is not None:
        _check_tracked(flake, keys)
    for one in inputs_here(flake):
        if repository_of(one) is not None:
            _check_tracked(one, keys)
            continue
        assert one.directory is not None
        real = one.directory.resolve()
        if (key := next((key for key in keys if key.is_relative_to(real)), None)) is not None:
            raise LockError(
                f"cannot take the input `{one.reference}` of the flake `{flake.reference}`: the "
                f"private key {key} is in it, and Nix would copy it",
                hint=_ELSEWHERE,
            )


def _check_tracked(flake: Flake, keys: Iterable[Path]) -> None:
    top = repository_of(flake)
    assert top is not None
    real = top.resolve()
    for key in keys:
        if not key.is_relative_to(real):
            continue
        # It may be in a submodule, of which the work tree's own index knows the name alone.
        own = next(place for place in key.parents if place == real or (place / ".git").exists())
        if os.fspath(key.relative_to(own)) in tracked(own):
            raise LockError(
                f"cannot take the flake `{flake.reference}`: git knows the private key {key}, and "
                "Nix would copy it",
                hint=f"`git rm --cached {key}`, and name it in .gitignore",
            )


class Copies:
    """The copies that Nix gets of local flakes without git, below `place`.

    Each is made once, for any number of threads. It has the same times as the files: of the newest
    Nix tells flakes.
    """

    def __init__(self, place: Path, *, keys: Iterable[Path], written: Iterable[Path]) -> None:
        self.keys = tuple(keys)
        """Files with private keys, symbolic links followed."""
        self._place = place
        self._apart = identities((*self.keys, *written))
        self._made: dict[Path, Path] = {}
        self._lock = threading.Lock()

    def shown(self, flake: Flake) -> Flake:
        """`flake` as Nix may have it. Raises LockError, see `check_private`."""
        check_private(flake, self.keys)
        if flake.directory is None or repository_of(flake) is not None:
            return flake
        with self._lock:
            copy = self._made.get(flake.directory)
            if copy is None:
                copy = self._place / str(len(self._made))
                copy_flake(flake, copy, self._apart)
                self._made[flake.directory] = copy
        _, mark, query = flake.reference.partition("?")
        return Flake(reference=f"path:{quote(os.fspath(copy))}{mark}{query}", directory=copy)

    def named(self, said: str) -> str:
        """What Nix said, with the names of the flakes' own directories."""
        for directory, copy in self._made.items():
            said = said.replace(os.fspath(copy), os.fspath(directory))
        return said


def copy_flake(flake: Flake, copy: Path, apart: Identities) -> None:
    """Make `copy` of the files of a flake without git. Raises LockError for what Nix refuses too."""
    assert flake.directory is not None
    copy.mkdir()
    newest = 0
    below = []
    try:
        for name, entry in _entries(flake.directory, "", apart):
            place = copy / name
            newest = max(newest, entry.stat(follow_symlinks=False).st_mtime_ns)
            if entry.is_dir(follow_symlinks=False):
                place.mkdir()
                below.append((place, entry.stat().st_mtime_ns))
            elif entry.is_symlink():
                place.symlink_to(Path(entry.path).readlink())
                shutil.copystat(entry.path, place, follow_symlinks=False)
            elif entry.is_file():
                copy_sparse(Path(entry.path), place)
                shutil.copystat(entry.path, place)
            else:
                raise LockError(
                    f"cannot take the flake `{flake.reference}`: {entry.path} is neither file, "
                    "directory nor link",
                    hint="remove it, or keep the flake in a work tree of git",
                )
    except OSError as error:
        raise _unreadable(flake, error) from error
    # Of the directory itself the time says when osloom has last written beside the flake.
    for place, time in (*below, (copy, newest)):
        os.utime(place, ns=(time, time))


def _names(directory: Path, apart: Identities) -> Iterator[str]:
    for name, entry in _entries(directory, "", apart):
        if not entry.is_dir(follow_symlinks=False):
            yield name


def _entries(
    directory: Path, above: str, apart: Identities
) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """What is of a flake without git, by names from its directory; directories come first."""
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.name == _LOCKFILE or (not above and _is_written(entry.name)):
                continue
            said = entry.stat(follow_symlinks=False)
            if (said.st_dev, said.st_ino) in apart:
                continue
            yield above + entry.name, entry
            if entry.is_dir(follow_symlinks=False):
                yield from _entries(directory / entry.name, f"{above}{entry.name}/", apart)


def _is_written(name: str) -> bool:
    return name in _NOT_OF_IT or name.startswith("result-")


def _content(path: Path) -> bytes:
    if path.is_symlink():
        return b"link " + os.fsencode(path.readlink())
    if not path.is_file():
        return b"gone"
    kind = b"program " if path.stat().st_mode & 0o100 else b"file "
    with path.open("rb") as file:
        return kind + hashlib.file_digest(file, "sha256").digest()


def _unreadable(flake: Flake, error: OSError) -> LockError:
    return LockError(
        f"cannot read the flake `{flake.reference}`: {error.filename}: {error.strerror}",
        hint="paths of flakes start beside the definition",
    )
