"""Lock what images take from Nix: which store paths that is, and all that they refer to.

What was locked stays as it is, as versions of packages do. Evaluated again is what may have become
something else: a local flake whose files have changed, and what is now for another system or with
other inputs. So whoever has no Nix can lock whatever else changes.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import msgspec

from osloom.base.digest import Digest
from osloom.base.progress import Reporter
from osloom.definition.keys import private_keys
from osloom.model.closure import StorePath, closure_of, is_flake
from osloom.model.definition import Definition, Image
from osloom.model.lock import Lock
from osloom.model.providers import Nix as Settings
from osloom.sources.debian.lock import Previous
from osloom.sources.nix.bring import open_caches
from osloom.sources.nix.closures import Closures
from osloom.sources.nix.fetch import find_origins
from osloom.sources.nix.flake_files import Copies, digest_of_files, identities
from osloom.sources.nix.flakes import evaluation_of, resolve_flake, system_of
from osloom.sources.nix.installables import Question, ask
from osloom.sources.nix.program import Nix
from osloom.store.store import Store


def lock_closures(
    lock: Lock,
    store: Store,
    definition: Definition,
    *,
    directory: Path,
    previous: Previous | None,
    find_nix: Callable[[], Nix],
    report: Reporter,
) -> Lock:
    """`lock` with the store paths of the definition's images; those of `previous` stay if they may.

    `find_nix` is called when something has to be evaluated. Raises LockError for what is nowhere
    and for what Nix refuses, and FetchError for addresses that no cache can have.
    """
    variants = {
        locked: variant
        for name, image in definition.image.items()
        if image.installables
        for locked, variant in image.variants(name).items()
    }
    if not variants:
        return lock
    keys = private_keys(definition, directory)
    # A flake above the definition, or one with the store in it, would take them for its own.
    written = (directory / "osloom.lock", directory / "dist", store.root)
    files = _Files(definition.nix, directory, apart=(*keys, *written))
    flakes = {name: files.of(image) for name, image in variants.items()}
    kept = _kept(variants, definition.nix, flakes, previous)
    questions = {
        (name, one): Question(
            installable=one, system=system_of(image, definition.nix), nixos=one == image.nixos
        )
        for name, image in variants.items()
        for one in image.installables
    }
    asked = dict.fromkeys(one for key, one in questions.items() if key not in kept)
    origins = find_origins(store, (), definition.nix, directory=directory)
    with store.working_directory() as work:
        answers, local = ask(
            list(asked),
            definition.nix,
            origins,
            directory=directory,
            copies=Copies(work, keys=keys, written=written),
            find_nix=find_nix,
            report=report,
        )
    roots = {key: kept.get(key) or answers[one] for key, one in questions.items()}
    with open_caches(origins) as caches:
        closures = Closures(caches, _staying(kept, previous), report)
        found = closures.find({name for names in roots.values() for name in names}, local)
    images = {
        name: msgspec.structs.replace(
            lock.images[name],
            installables={one: roots[name, one] for one in image.installables},
            evaluation=evaluation_of(image, definition.nix),
            flakes=flakes[name],
        )
        for name, image in variants.items()
    }
    paths = tuple(found[name] for name in sorted(found))
    return msgspec.structs.replace(lock, images={**lock.images, **images}, store_paths=paths)


class _Files:
    """The digests of the local flakes' files, each read once."""

    def __init__(self, nix: Settings, directory: Path, *, apart: Iterable[Path]) -> None:
        self._overrides = nix.overrides
        self._directory = directory
        self._apart = identities(apart)
        self._known: dict[str, Digest | None] = {}

    def of(self, image: Image) -> dict[str, Digest]:
        """Those that may decide what the image is, by the flake as the definition says it."""
        own = [one.partition("#")[0] for one in image.installables if is_flake(one)]
        found = {
            one: self._digest(one) for one in (*own, *(self._overrides.values() if own else ()))
        }
        return {one: digest for one, digest in found.items() if digest is not None}

    def _digest(self, reference: str) -> Digest | None:
        if reference not in self._known:
            flake = resolve_flake(reference, self._directory)
            self._known[reference] = digest_of_files(flake, self._apart)
        return self._known[reference]


_Kept = Mapping[tuple[str, str], tuple[str, ...]]
"""What installables were and still are, by image and installable."""


def _kept(
    variants: Mapping[str, Image],
    nix: Settings,
    flakes: Mapping[str, Mapping[str, Digest]],
    previous: Previous | None,
) -> _Kept:
    if previous is None or previous.upgrade_all:
        return {}
    kept: dict[tuple[str, str], tuple[str, ...]] = {}
    for name, image in variants.items():
        before = previous.lock.images.get(name)
        if before is None:
            continue
        now = flakes[name]
        same = before.evaluation == evaluation_of(image, nix) and all(
            before.flakes.get(one) == now.get(one) for one in nix.overrides.values()
        )
        for one in image.installables:
            flake = one.partition("#")[0]
            stays = not is_flake(one) or (same and before.flakes.get(flake) == now.get(flake))
            if one in before.installables and stays and one not in previous.upgrade:
                kept[name, one] = before.installables[one]
    return kept


def _staying(kept: _Kept, previous: Previous | None) -> dict[str, StorePath]:
    """The store paths that stay as they are in the lock."""
    if previous is None:
        return {}
    before = {path.name: path for path in previous.lock.store_paths}
    roots = tuple(name for names in kept.values() for name in names)
    return {name: before[name] for name in closure_of(roots, before)}
