"""What a build may know of the repository that a definition is in, asked of git(1).

Nothing here goes into an image unless the definition asks for it.
"""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import msgspec

from osloom.base.command import Completed, run
from osloom.base.errors import UsageError
from osloom.base.numbers import LAST_SECOND, to_number

REVISION = "OSLOOM_REVISION"
"""`COMMIT TIME`: what a build that is not in a repository is told, as in an exported tree."""


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    """The full hash, with `-dirty` where files were changed since."""
    time: int
    """Of the commit, in seconds since 1970."""


def head(directory: Path) -> Commit:
    """The commit that is checked out. Raises UsageError where there is none."""
    told = os.environ.get(REVISION, "").strip()
    if told:
        return _parse(told)
    name, time = _ask(directory, "log", "-1", "--format=%H %ct").split()
    dirty = "-dirty" if _ask(directory, "status", "--porcelain", "--", ".") else ""
    return Commit(name=name + dirty, time=int(time))


def _parse(told: str) -> Commit:
    name, _, text = told.partition(" ")
    time = to_number(text.strip(), LAST_SECOND)
    if time is None:
        raise UsageError(
            f"cannot read {REVISION}: `{told}` is not a commit and its time",
            hint="set it to what `git log -1 --format='%H %ct'` says, or unset it",
        )
    return Commit(name=name, time=time)


def changed_since(directory: Path, revision: str) -> frozenset[Path]:
    """The absolute paths below `directory` that git has, and that are not as in `revision`.

    Of a submodule with changes it is the submodule's own path.
    """
    commit = _ask(directory, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}").strip()
    options = ("--name-only", "-z", "--no-renames", "--ignore-submodules=untracked")
    return _paths(directory, _ask(directory, "diff", *options, commit, "--", "."))


def tracked(directory: Path, places: Iterable[Path]) -> frozenset[Path]:
    """The absolute paths at or below `places` that git has, those of submodules too.

    `places` are below `directory`, and no symbolic link is above one.
    """
    named = sorted(map(str, places))
    if not named:
        return frozenset()
    command = ("--literal-pathspecs", "ls-files", "--recurse-submodules", "-z", "--full-name")
    return _paths(directory, _ask(directory, *command, "--", *named))


def _paths(directory: Path, names: str) -> frozenset[Path]:
    """Names that git separates by NUL, and says as they are from the top of the work tree."""
    top = Path(_ask(directory, "rev-parse", "--show-toplevel").rstrip("\n"))
    return frozenset(top / name for name in names.split("\0") if name)


def file_at(directory: Path, revision: str, name: str) -> bytes | None:
    """The content of `directory`/`name` in `revision`; None when it was not there."""
    done = _git(directory, "show", f"{revision}:./{name}")
    return done.stdout if done.status == 0 else None


def _ask(directory: Path, *arguments: str) -> str:
    done = _git(directory, *arguments)
    if done.status != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        if arguments[:2] == ("rev-parse", "--verify"):
            name = arguments[-1].partition("^")[0]
            raise UsageError(
                f"cannot find the revision `{name}`", hint="fetch it, or name another one"
            )
        raise UsageError(
            f"cannot ask git about {directory}: {said[-1] if said else 'it failed'}",
            hint=f"run in a repository with a commit, or set {REVISION}",
        )
    return done.stdout.decode(errors="surrogateescape")


def _git(directory: Path, *arguments: str) -> Completed:
    program = shutil.which("git")
    if program is None:
        raise UsageError("cannot ask git: it is not installed", hint="install the package `git`")
    environment = {"HOME": os.environ.get("HOME", "/"), "GIT_OPTIONAL_LOCKS": "0"}
    return run([program, "-C", directory, *arguments], environment=environment, check=False)
