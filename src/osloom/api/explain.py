"""Why a package is in an image, and what the image is made of."""

from collections import deque

import msgspec

from osloom.base.errors import UsageError, nearest
from osloom.model.lock import Lock, Package


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """The shortest chain from something that was asked for to a package."""

    image: str
    chain: tuple[str, ...]
    """Names; the first was asked for (or is Essential), the last is the package."""
    requested: bool
    """Whether the definition names the first; if not, it is Essential."""


def why(lock: Lock, package: str, images: tuple[str, ...] = ()) -> list[Reason]:
    """One reason for each image that holds the package. Raises UsageError when none does.

    An image for several architectures is one for each.
    """
    known = {name.partition("/")[0] for name in lock.images}
    for name in images:
        if name not in known:
            close = nearest(name, sorted(known))
            hint = f"did you mean `{close[0]}`?" if close else None
            raise UsageError(f"cannot find the image `{name}` in the lock", hint=hint)
    reasons = []
    for image in sorted(lock.images):
        if images and image.partition("/")[0] not in images:
            continue
        packages = {one.name: one for one in lock.packages_of(image)}
        if package in packages:
            reasons.append(_reason(image, package, packages, lock))
    if not reasons:
        close = nearest(package, [one.name for one in lock.packages])
        hint = f"did you mean `{close[0]}`?" if close else None
        raise UsageError(f"cannot explain `{package}`: no image holds it", hint=hint)
    return reasons


def _reason(image: str, package: str, packages: dict[str, Package], lock: Lock) -> Reason:
    requested = [name.split("=")[0].split(":")[0] for name in lock.images[image].requested]
    starts = [name for name in requested if name in packages]
    chain = _shortest(starts, package, packages)
    if chain is not None:
        return Reason(image=image, chain=chain, requested=True)
    needed = {name for one in packages.values() for name in one.depends}
    roots = sorted(name for name in packages if name not in needed) + sorted(packages)
    found = _shortest(roots, package, packages) or (package,)
    return Reason(image=image, chain=found, requested=False)


def _shortest(starts: list[str], goal: str, packages: dict[str, Package]) -> tuple[str, ...] | None:
    before: dict[str, str | None] = dict.fromkeys(starts)
    todo = deque(starts)
    while todo:
        name = todo.popleft()
        if name == goal:
            chain = [name]
            while (previous := before[chain[-1]]) is not None:
                chain.append(previous)
            return tuple(reversed(chain))
        for needed in packages[name].depends:
            if needed in packages and needed not in before:
                before[needed] = name
                todo.append(needed)
    return None
