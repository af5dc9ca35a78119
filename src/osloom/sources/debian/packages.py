"""Fetch locked packages."""

from collections.abc import Sequence

from osloom.base.errors import LockError
from osloom.base.progress import Reporter
from osloom.fetch.download import GoneError, Wanted, fetch_all
from osloom.model.lock import Lock, Package
from osloom.model.providers import Debian
from osloom.sources.debian.mirrors import base_address
from osloom.store.store import Store


def fetch_packages(
    store: Store, lock: Lock, debian: Debian, packages: Sequence[Package], *, report: Reporter
) -> None:
    """Bring what the store lacks. Raises LockError with the names of all that are gone."""
    sources = {one.name: one.source for one in lock.repositories}
    bases = {source: base_address(source, debian) for source in set(sources.values())}
    wanted = [
        Wanted(
            urls=(f"{bases[sources[package.repository]]}/{package.path}",),
            digest=package.digest,
            size=package.size,
            title=f"{package.name} {package.version}",
        )
        for package in packages
    ]
    try:
        fetch_all(store, wanted, report=report)
    except GoneError as error:
        raise LockError(
            f"the lock is older than the mirror: {error.message}",
            hint="run `osloom lock --upgrade`, or set `mirror` to a snapshot that has them",
            detail=error.detail,
        ) from error
