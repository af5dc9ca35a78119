"""What the repositories have newer than the lock."""

import msgspec

from osloom.api.lock import resolve
from osloom.api.project import Project
from osloom.base.progress import Reporter
from osloom.model.lock import Lock
from osloom.sources.oci.origins import place_of
from osloom.store.store import Store


class Outdated(msgspec.Struct, frozen=True, kw_only=True):
    """One package of one image; a version is empty where the package is not there.

    Or its base image, whose versions are digests of manifests; or what it takes from Nix, whose
    versions are base names of store paths.
    """

    image: str
    package: str
    locked: str
    available: str
    repository: str
    """Where the available version is."""


def outdated(project: Project, store: Store, report: Reporter, *, now: int) -> list[Outdated]:
    """What `lock --upgrade` would change, by image and package. Writes nothing."""
    lock = project.lock()
    newest = resolve(project, store, report, now=now)
    found = []
    for image in sorted(lock.images.keys() & newest.images.keys()):
        before, after = _versions(lock, image), _versions(newest, image)
        before |= _base_version(lock, image)
        after |= _base_version(newest, image)
        before |= _store_paths(lock, image)
        after |= _store_paths(newest, image)
        for package in sorted(before.keys() | after.keys()):
            old, new = before.get(package, ("", "")), after.get(package, ("", ""))
            if old[0] != new[0]:
                found.append(
                    Outdated(
                        image=image,
                        package=package,
                        locked=old[0],
                        available=new[0],
                        repository=new[1],
                    )
                )
    return found


def _versions(lock: Lock, image: str) -> dict[str, tuple[str, str]]:
    return {one.name: (one.version, one.repository) for one in lock.packages_of(image)}


def _store_paths(lock: Lock, image: str) -> dict[str, tuple[str, str]]:
    """What installables are; where is the flake, or a cache for a path that is named."""
    return {
        one: (" ".join(names), one.partition("#")[0])
        for one, names in lock.images[image].installables.items()
    }


def _base_version(lock: Lock, image: str) -> dict[str, tuple[str, str]]:
    base = lock.base_of(image)
    if base is None:
        return {}
    return {base.reference: (base.manifest, place_of(base.reference))}
