"""Lock a project: resolve every image and write the lockfile."""

from dataclasses import dataclass

from osloom.api.project import Project
from osloom.api.requests import requests
from osloom.base.errors import LockError
from osloom.base.progress import Reporter
from osloom.model.lock import Lock
from osloom.sources.debian import lockfile
from osloom.sources.debian.lock import Previous, make_lock
from osloom.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """What locking did."""

    lock: Lock
    added: tuple[str, ...]
    """`Package.id` of what is new in the lock."""
    removed: tuple[str, ...]
    changed: bool
    """Whether the file was written."""


def resolve(
    project: Project,
    store: Store,
    report: Reporter,
    *,
    now: int,
    previous: Previous | None = None,
) -> Lock:
    """The lock of everything that the project's definition asks for. Writes nothing."""
    return make_lock(
        store,
        project.definition.debian,
        requests(project.definition),
        directory=project.directory,
        now=now,
        report=report,
        previous=previous,
    )


def lock(
    project: Project,
    store: Store,
    report: Reporter,
    *,
    now: int,
    upgrade_all: bool = False,
    upgrade: tuple[str, ...] = (),
) -> Locked:
    """Resolve, and write `osloom.lock` when something in it changes."""
    before = _before(project, needed=not upgrade_all)
    previous = Previous(lock=before, upgrade_all=upgrade_all, upgrade=upgrade) if before else None
    made = resolve(project, store, report, now=now, previous=previous)
    old = {package.id for package in before.packages} if before else set()
    new = {package.id for package in made.packages}
    same = before is not None and (before.packages, before.images) == (made.packages, made.images)
    # The same packages from a newer Release are the same lock: the epoch stays with them.
    if not same:
        lockfile.save(made, project.lock_path)
    return Locked(
        lock=before if same and before else made,
        added=tuple(sorted(new - old)),
        removed=tuple(sorted(old - new)),
        changed=not same,
    )


def _before(project: Project, *, needed: bool) -> Lock | None:
    """The lock there is; of one that cannot be read, none, where it is not needed."""
    try:
        return project.find_lock()
    except LockError:
        if needed:
            raise
        return None
