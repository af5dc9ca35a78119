"""A project: the definition, the lock beside it, and the store they are built with."""

import os
from pathlib import Path

import msgspec

from osloom.base.errors import LockError, StoreError, UsageError, nearest
from osloom.base.numbers import LAST_SECOND, to_number
from osloom.definition.load import load
from osloom.model.definition import Definition, Image
from osloom.model.lock import Lock
from osloom.sources.debian import lockfile
from osloom.store.store import Store

LOCKFILE = "osloom.lock"
OUTPUT = "dist"


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """See the module."""

    path: Path
    """Of the definition."""
    definition: Definition

    @property
    def directory(self) -> Path:
        return self.path.parent

    @property
    def lock_path(self) -> Path:
        return self.directory / LOCKFILE

    def find_lock(self) -> Lock | None:
        return lockfile.load(self.lock_path) if self.lock_path.exists() else None

    def lock(self) -> Lock:
        found = self.find_lock()
        if found is None:
            raise LockError(f"cannot find {LOCKFILE}", hint="run `osloom lock`")
        return found

    def image(self, name: str) -> Image:
        images = self.definition.image
        if name not in images:
            close = nearest(name, list(images))
            hint = f"did you mean `{close[0]}`?" if close else f"there are: {', '.join(images)}"
            raise UsageError(f"cannot find the image `{name}`", hint=hint)
        return images[name]

    def chosen(self, names: tuple[str, ...]) -> dict[str, Image]:
        """The images `names`, or all that have outputs when there are none."""
        if names:
            return {name: self.image(name) for name in names}
        found = {name: image for name, image in self.definition.image.items() if image.outputs}
        if not found:
            raise UsageError(
                "cannot build anything: no image has outputs",
                hint='add for example `outputs = ["oci"]` to an image',
            )
        return found

    def containers(self, names: tuple[str, ...], *, verb: str) -> dict[str, Image]:
        """The images `names`, or all that have the output `oci`; `verb` is for what is said."""
        chosen = {name: self.image(name) for name in names}
        for name, image in chosen.items():
            if "oci" not in image.outputs:
                raise UsageError(
                    f"cannot {verb} `{name}`: it has no output `oci`",
                    hint='add `"oci"` to its `outputs`',
                )
        images = self.definition.image
        found = chosen or {name: one for name, one in images.items() if "oci" in one.outputs}
        if not found:
            raise UsageError(
                f"cannot {verb} anything: no image has the output `oci`",
                hint='add `outputs = ["oci"]` to an image',
            )
        return found

    def epoch(self, lock: Lock, image: str) -> int:
        """SOURCE_DATE_EPOCH of an image: the environment's, the definition's, or the lock's.

        Not the last commit's time: a build must not depend on more than definition and lock.
        """
        given = self.given_epoch()
        if given is not None:
            return given
        locked = lock.images[image].epoch
        return locked if locked is not None else lock.epoch

    def given_epoch(self) -> int | None:
        """What the environment or the definition says."""
        given = os.environ.get("SOURCE_DATE_EPOCH")
        if given is None:
            return self.definition.project.epoch
        seconds = to_number(given, LAST_SECOND)
        if seconds is None:
            raise UsageError(
                f"cannot read SOURCE_DATE_EPOCH: `{given}` is not a number up to {LAST_SECOND}",
                hint="give the seconds since 1970 as `date +%s` says them, or unset it",
            )
        return seconds


def open_project(path: Path) -> Project:
    return Project(path=path, definition=load(path))


def default_store() -> Path:
    """OSLOOM_STORE, or the user's cache directory; XDG Base Directory Specification."""
    given = os.environ.get("OSLOOM_STORE")
    if given:
        return Path(given).absolute()
    cache = os.environ.get("XDG_CACHE_HOME")
    if cache and Path(cache).is_absolute():
        return Path(cache) / "osloom"
    try:
        return Path.home() / ".cache/osloom"
    except RuntimeError as error:
        raise StoreError(
            "cannot tell where the store is: this user has no home directory",
            hint="set OSLOOM_STORE to a directory that can be written",
        ) from error


def open_store(path: Path | None = None) -> Store:
    return Store(path or default_store())
