"""Why a package or a store path is in an image."""

import msgspec

from osloom.base.errors import UsageError, nearest
from osloom.model.closure import STORE, weigh
from osloom.model.graph import shortest_chain
from osloom.model.lock import Lock, Package
from osloom.model.nix_package import parse_package_name
from osloom.model.store_path import name_part


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """The shortest chain from something that was asked for to a package or store path."""

    image: str
    chain: tuple[str, ...]
    """Names; the first was asked for (or is Essential), the last is the package. Of a store path
    the first is as the definition says it, and the others are base names."""
    requested: bool
    """Whether the definition names the first; if not, it is Essential."""
    saved: int | None = None
    """Bytes of NARs that would not be needed without a store path."""


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
        if lock.images[image].installables:
            reasons += _reasons_of_paths(image, package, lock)
    if not reasons:
        known = {one.name for one in lock.packages} | {one.path for one in lock.store_paths}
        known |= {parse_package_name(one.name).package for one in lock.store_paths}
        close = nearest(package, sorted(known))
        hint = f"did you mean `{close[0]}`?" if close else None
        raise UsageError(f"cannot explain `{package}`: no image holds it", hint=hint)
    return reasons


def _reasons_of_paths(image: str, text: str, lock: Lock) -> list[Reason]:
    """Of every store path that `text` may mean: itself, or a file in it, or its name."""
    closure = {path.name: path for path in lock.closure_of(image)}

    def references(name: str) -> tuple[str, ...]:
        return closure[name].references

    asked = lock.images[image].installables
    found = [name for name in closure if _is_meant(text, name)]
    saved = weigh(asked, closure)[1] if found else {}
    reasons = []
    for name in found:
        chains = {
            one: chain
            for one, roots in asked.items()
            if (chain := shortest_chain(roots, name, references)) is not None
        }
        first = min(chains, key=lambda one: len(chains[one]))
        chain = (first, *chains[first])
        size = saved[name].saved
        reasons.append(Reason(image=image, chain=chain, requested=True, saved=size))
    return reasons


def _is_meant(text: str, name: str) -> bool:
    if text.startswith(f"{STORE}/"):
        return text.removeprefix(f"{STORE}/").partition("/")[0] == name
    return text in (name, name_part(name), parse_package_name(name).package)


def _reason(image: str, package: str, packages: dict[str, Package], lock: Lock) -> Reason:
    requested = [name.split("=")[0].split(":")[0] for name in lock.images[image].requested]

    def depends(name: str) -> list[str]:
        return [one for one in packages[name].depends if one in packages]

    starts = [name for name in requested if name in packages]
    chain = shortest_chain(starts, package, depends)
    if chain is not None:
        return Reason(image=image, chain=chain, requested=True)
    needed = {name for one in packages.values() for name in one.depends}
    roots = sorted(name for name in packages if name not in needed) + sorted(packages)
    found = shortest_chain(roots, package, depends) or (package,)
    return Reason(image=image, chain=found, requested=False)
