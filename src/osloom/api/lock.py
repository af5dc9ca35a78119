"""Lock a project: resolve every image and write the lockfile."""

import msgspec

from osloom.api.project import Project
from osloom.api.requests import requests
from osloom.base.errors import LockError
from osloom.base.progress import Reporter
from osloom.model.lock import Lock
from osloom.sources.debian import lockfile
from osloom.sources.debian.lock import Previous, make_lock
from osloom.sources.oci.lock import lock_bases
from osloom.store.store import Store


class Locked(msgspec.Struct, frozen=True, kw_only=True):
    """What locking did."""

    lock: Lock
    added: tuple[str, ...]
    """`Package.id` of what is new in the lock, `Base.id` with a digest, and store paths."""
    removed: tuple[str, ...]
    changed: bool
    """Whether the file was written."""
    only_here: tuple[str, ...]
    """Base names of store paths that no binary cache has."""


def resolve(
    project: Project,
    store: Store,
    report: Reporter,
    *,
    now: int,
    previous: Previous | None = None,
) -> Lock:
    """The lock of everything that the project's definition asks for. Writes nothing."""
    made = make_lock(
        store,
        project.definition.debian,
        requests(project.definition),
        directory=project.directory,
        now=now,
        report=report,
        previous=previous,
    )
    based = lock_bases(
        made,
        store,
        project.definition,
        directory=project.directory,
        previous=previous,
        report=report,
    )
    if not any(image.installables for image in project.definition.image.values()):
        return based
    from osloom.api.nix import find_nix
    from osloom.sources.nix.lock import lock_closures

    return lock_closures(
        based,
        store,
        project.definition,
        directory=project.directory,
        previous=previous,
        find_nix=lambda: find_nix(project, based, store, report),
        report=report,
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
    old = _contents(before) if before else set()
    new = _contents(made)
    same = before is not None and all(
        getattr(before, name) == getattr(made, name)
        for name in ("packages", "images", "bases", "store_paths")
    )
    # The same packages from a newer Release are the same lock: the epoch stays with them.
    if not same:
        lockfile.save(made, project.lock_path)
    return Locked(
        lock=before if same and before else made,
        added=tuple(sorted(new - old)),
        removed=tuple(sorted(old - new)),
        changed=not same,
        only_here=tuple(path.name for path in made.store_paths if not path.caches),
    )


def _contents(lock: Lock) -> set[str]:
    bases = {f"{base.id}={base.manifest}" for base in lock.bases}
    paths = {path.path for path in lock.store_paths}
    return bases | paths | {package.id for package in lock.packages}


def _before(project: Project, *, needed: bool) -> Lock | None:
    """The lock there is; of one that cannot be read, none, where it is not needed."""
    try:
        return project.find_lock()
    except LockError:
        if needed:
            raise
        return None
