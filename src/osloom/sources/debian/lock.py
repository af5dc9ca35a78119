"""Make a lock: resolve every request against verified indexes."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from osloom.base.errors import LockError
from osloom.base.progress import Reporter
from osloom.model.lock import Lock, LockedImage, Package, Repository
from osloom.model.providers import Debian
from osloom.sources.debian.repositories import Opened, Suite, open_suites, suites
from osloom.sources.debian.request import Request
from osloom.sources.debian.resolve import Solution, resolve
from osloom.sources.debian.universe import Choice, Ranked, Universe
from osloom.store.store import Store


class Previous(msgspec.Struct, frozen=True, kw_only=True):
    """The lock there is, whose versions stay where they can, less those that may change."""

    lock: Lock
    upgrade_all: bool = False
    upgrade: tuple[str, ...] = ()
    """Names of packages that may change though their versions are still to be had, and bases."""


def make_lock(
    store: Store,
    debian: Debian,
    requests: Mapping[str, Request],
    *,
    directory: Path,
    now: int,
    report: Reporter,
    previous: Previous | None = None,
) -> Lock:
    """Resolve every request; versions of `previous` are kept where they can be and may be."""
    looked = {name: suites(debian, request.suite, directory) for name, request in requests.items()}
    opened = open_suites(
        store,
        debian,
        [(suite, requests[name].architecture) for name in requests for suite in looked[name]],
        now=now,
        report=report,
    )
    kept = _kept(previous)
    packages: dict[str, Package] = {}
    images: dict[str, LockedImage] = {}
    for name, request in requests.items():
        solution = _solve(name, request, looked[name], opened, kept.get(name, {}))
        own = [_package(choice, solution) for choice in solution.chosen]
        for one in own:
            packages[one.id] = _joined(packages.get(one.id), one)
        images[name] = LockedImage(
            request=request.digest,
            requested=solution.requested,
            suite=request.suite,
            architecture=request.architecture,
            packages=tuple(sorted(one.id for one in own)),
        )
    repositories = _repositories(opened.values())
    epoch = max(one.date for one in repositories)
    before = previous.lock.images if previous else {}
    return Lock(
        epoch=epoch,
        repositories=repositories,
        packages=tuple(packages[identity] for identity in sorted(packages)),
        images={name: _dated(one, before.get(name), epoch) for name, one in images.items()},
    )


def _dated(image: LockedImage, before: LockedImage | None, epoch: int) -> LockedImage:
    is_same = before is not None and before.packages == image.packages
    return msgspec.structs.replace(image, epoch=before.epoch if before and is_same else epoch)


def _kept(previous: Previous | None) -> Mapping[str, dict[str, str]]:
    """The version each image has of each package and wants to keep."""
    if previous is None or previous.upgrade_all:
        return {}
    lock = previous.lock
    known = {package.name for package in lock.packages} | {base.reference for base in lock.bases}
    known |= {name for image in lock.images.values() for name in image.installables}
    for name in previous.upgrade:
        if name not in known:
            raise LockError(f"cannot upgrade `{name}`: it is not in the lock")
    return {
        image: {
            package.name: package.version
            for package in lock.packages_of(image)
            if package.name not in previous.upgrade
        }
        for image in lock.images
    }


def _solve(
    name: str,
    request: Request,
    looked: Sequence[Suite],
    opened: Mapping[tuple[str, str], Opened],
    preferred: dict[str, str],
) -> Solution:
    ranked: list[Ranked] = []
    for suite in looked:
        there = opened.get((suite.name, request.architecture))
        if there is not None:
            ranked.extend(there.ranked)
    universe = Universe(ranked, preferred=preferred)
    try:
        return resolve(
            universe,
            request.names,
            recommends=request.recommends,
            essential=request.essential,
            without=request.without,
        )
    except LockError as error:
        if preferred:
            # What is kept can stand in the way of what is new.
            return _solve(name, request, looked, opened, {})
        what = "what osloom needs itself" if name.startswith(".") else f"`{name}`"
        raise LockError(
            f"cannot lock {what}: {error.message}", hint=error.hint, detail=error.detail
        ) from error


def _package(choice: Choice, solution: Solution) -> Package:
    candidate = choice.candidate
    return Package(
        name=candidate.name,
        version=candidate.version,
        architecture=candidate.architecture,
        repository=choice.repository,
        path=candidate.path,
        size=int(candidate.size),
        digest=candidate.digest,
        depends=solution.depends[candidate.name],
        required=candidate.essential == "yes" or candidate.priority == "required",
    )


def _joined(there: Package | None, one: Package) -> Package:
    """The same package in several images may lean on different ones in each."""
    if there is None:
        return one
    return msgspec.structs.replace(one, depends=tuple(sorted({*there.depends, *one.depends})))


def _repositories(opened: Iterable[Opened]) -> tuple[Repository, ...]:
    found: dict[str, Repository] = {}
    for one in opened:
        there = found.get(one.locked.name)
        architectures = {*one.locked.architectures, *(there.architectures if there else ())}
        found[one.locked.name] = msgspec.structs.replace(
            one.locked, architectures=tuple(sorted(architectures))
        )
    return tuple(found[name] for name in sorted(found))
