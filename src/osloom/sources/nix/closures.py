"""The closure of store paths: what binary caches say of each, or else a Nix store of this machine.

What a cache has is taken as it has it, so that the lock is the same whether it was made by Nix or
without.
"""

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec

from osloom.base.errors import FetchError, LockError
from osloom.base.progress import Event, Reporter
from osloom.model.closure import STORE, StorePath, closure_of
from osloom.sources.nix.cache import BinaryCache

_THREADS = 16


class Closures:
    """Finds store paths. `known` are those that stay as they are in a lock, by base name."""

    def __init__(
        self, caches: Sequence[BinaryCache], known: Mapping[str, StorePath], report: Reporter
    ) -> None:
        self._caches = caches
        self._known = known
        self._report = report
        self._problems: dict[str, FetchError] = {}
        """The first of each cache."""

    def find(
        self, roots: Collection[str], local: Mapping[str, StorePath]
    ) -> Mapping[str, StorePath]:
        """`roots` and all that they refer to, by base name; `local` is what Nix said of them.

        Raises LockError for what is nowhere, or the FetchError of a cache that may have it.
        """
        found: dict[str, StorePath] = {}
        # All that is known to be asked for at once, and then what that refers to.
        todo = {*roots, *local}
        with ThreadPoolExecutor(max_workers=_THREADS) as pool:
            while todo:
                names = sorted(todo)
                paths = pool.map(lambda name: self._one(name, local.get(name)), names)
                found |= dict(zip(names, paths, strict=True))
                todo = {name for one in names for name in found[one].references} - found.keys()
        for problem in self._problems.values():
            self._report(Event(kind="note", id="caches", title=problem.message))
        # Nix may have built it with other references than the caches have.
        return {name: found[name] for name in closure_of(tuple(roots), found)}

    def _one(self, name: str, local: StorePath | None) -> StorePath:
        known = self._known.get(name)
        if known is not None and known.caches:
            return known
        said = [one for cache in self._caches if (one := self._ask(cache, name)) is not None]
        if said:
            first = said[0]
            same = [one for one in said if one.nar_hash == first.nar_hash]
            caches = tuple(url for one in same for url in one.caches)
            return msgspec.structs.replace(first, caches=caches)
        if known or local:
            return known or local  # type: ignore[return-value]
        raise self._missing(name)

    def _ask(self, cache: BinaryCache, name: str) -> StorePath | None:
        try:
            return cache.look(name)
        except FetchError as error:
            self._problems.setdefault(cache.source.url, error)
            return None

    def _missing(self, name: str) -> LockError:
        asked = ", ".join(cache.source.url for cache in self._caches)
        if self._problems:
            problem = next(iter(self._problems.values()))
            return LockError(f"cannot find {STORE}/{name}: {problem.message}", hint=problem.hint)
        return LockError(
            f"cannot find {STORE}/{name}: it is in no Nix store of this machine"
            + (f", and not in {asked}" if asked else ", and no binary cache is known"),
            hint="name the cache that has it in `[[nix.cache]]`",
        )
