"""Fetch the store paths of a lock: from Nix stores on this machine, and from binary caches."""

import threading
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from pathlib import Path
from urllib.parse import parse_qs

import msgspec

from osloom.base.progress import Reporter
from osloom.engine.executor import Executor, LocalExecutor
from osloom.engine.step import Step
from osloom.fetch.download import GoneError
from osloom.model.closure import StorePath
from osloom.model.providers import Nix
from osloom.sources.nix.bring import Batch, Bringer, Origins, bring_paths, open_caches
from osloom.sources.nix.cache import CacheSource
from osloom.sources.nix.settings import Settings, load_settings
from osloom.sources.nix.steps import plan_store_path
from osloom.store.store import Store

OWN = "nix/nix/store"
"""Below osloom's store: where the tools' Nix keeps what it builds."""
_MOST_NAMED = 10
_SHARE = 2
"""A worker gets at most its part of what is left, by this: so all are done at about one time."""
_LEAST = 8 << 20
"""Bytes of NARs that are worth a batch."""
_STARTED = 4 << 20
"""Bytes of NARs that are unpacked before a worker has started."""


def fetch_store_paths(
    store: Store,
    paths: Collection[StorePath],
    nix: Nix,
    *,
    directory: Path,
    report: Reporter,
    executor: Executor | None = None,
) -> None:
    """Bring every path of which `store` has no tree yet; each becomes the result of its step.

    `directory` is what relative addresses of caches are below. `executor` has the workers to do it;
    by default they are started for it. Raises GoneError with all paths that are nowhere, and
    FetchError for what cannot be had otherwise or is not what the lock has; then nothing of that
    path is in the store.
    """
    todo = [one for one in paths if store.results.find(plan_store_path(one).step.key) is None]
    if not todo:
        return
    origins = find_origins(store, todo, nix, directory=directory)
    own = None if executor is not None else LocalExecutor(store)
    try:
        gone = _Fetch(store, executor or own, origins, report).run(todo)  # type: ignore[arg-type]
    finally:
        if own is not None:
            own.stop()
    if gone:
        raise _gone(gone, origins)


def find_origins(
    store: Store,
    paths: Collection[StorePath],
    nix: Nix,
    *,
    directory: Path,
    settings: Settings | None = None,
) -> Origins:
    """Where `paths` may be: the caches of the definition, or else of nix.conf; those of the lock."""
    host = settings or load_settings()
    every = tuple(dict.fromkeys([key for one in nix.cache for key in one.keys] + list(host.keys)))
    named = {one.url: one.keys for one in nix.cache} or dict.fromkeys(host.substituters, ())
    locked = sorted({url for path in paths for url in path.caches})
    caches = [_source(url, named.get(url) or every) for url in dict.fromkeys([*named, *locked])]
    own = store.root / OWN
    return Origins(
        stores=(*host.stores, *([str(own)] if own.is_dir() else [])),
        caches=tuple(caches),
        directory=str(directory),
        settings=host,
    )


def _source(url: str, keys: tuple[str, ...]) -> CacheSource:
    trusted = parse_qs(url.partition("?")[2]).get("trusted", [""])[-1] in ("true", "1")
    return CacheSource(url=url, keys=keys, trusted=trusted)


class _Fetch:
    """Deals paths out: to this process, and to workers if there is enough for them."""

    def __init__(
        self, store: Store, executor: Executor, origins: Origins, report: Reporter
    ) -> None:
        self._store = store
        self._executor = executor
        self._origins = origins
        self._report = report
        self._guard = threading.Lock()

    def run(self, paths: Sequence[StorePath]) -> list[str]:
        """Gives the names of those that are nowhere."""
        batches = self._batches(paths)
        batch = next(batches)
        left = sum(one.nar_size for one in paths) - sum(one.nar_size for one in batch)
        slots = self._executor.slots
        count = min(slots - 1, left // _STARTED)
        if count:
            # What each of them would load for itself.

            import osloom.fetch.connection  # noqa: F401
        # While they can still be copies: of a process with threads there are none.
        self._executor.prepare([self._step(())] * count, many=False)
        with (
            open_caches(self._origins) as caches,
            ThreadPoolExecutor(max_workers=slots) as pool,
        ):
            self._executor.decode_here()
            here = Bringer(self._store, self._origins, caches, self._report)
            # This process works, too: it has long begun when the others have started.
            others = [pool.submit(self._ask_for_all, batches) for _ in range(count)]
            for one in others:
                one.add_done_callback(lambda done: here.stop() if _failure(done) else None)
            try:
                gone = []
                while batch:
                    gone += here.bring(batch)
                    batch = self._next(batches)
                # A timeout, so that Ctrl-C is heard while waiting.
                while wait(others, timeout=1, return_when=FIRST_EXCEPTION).not_done:
                    for one in filter(Future.done, others):
                        one.result()  # raises
                return gone + [name for one in others for name in one.result()]
            except BaseException as error:
                # Before the workers are ended, which is a failure, too.
                cause = next(filter(None, map(_failure, others)), None)
                self._executor.stop()
                pool.shutdown(wait=False, cancel_futures=True)
                if cause is not None and isinstance(error, Exception):
                    raise cause from None  # By which this one was stopped.
                raise

    def _next(self, batches: Iterator[Sequence[StorePath]]) -> Sequence[StorePath]:
        with self._guard:
            return next(batches, ())

    def _ask_for_all(self, batches: Iterator[Sequence[StorePath]]) -> list[str]:
        """Have one worker bring batches until there are no more."""
        gone: list[str] = []
        while batch := self._next(batches):
            gone += self._ask(batch)
        return gone

    def _batches(self, paths: Sequence[StorePath]) -> Iterator[Sequence[StorePath]]:
        """The largest first, in batches that become smaller."""
        waiting = sorted(paths, key=lambda path: path.nar_size)
        left = sum(path.nar_size for path in waiting)
        while waiting:
            most = max(left // (self._executor.slots * _SHARE), _LEAST)
            batch, size = [], 0
            while waiting and size < most:
                batch.append(waiting.pop())
                size += batch[-1].nar_size
            left -= size
            yield batch

    def _ask(self, paths: Sequence[StorePath]) -> list[str]:
        made = self._executor.run(self._step(paths), {}, report=self._report)
        return str(made.facts["gone"]).split()

    def _step(self, paths: Sequence[StorePath]) -> Step:
        batch = Batch(paths=tuple(paths), origins=self._origins)
        return Step(
            action=bring_paths, title="fetch store paths", parameters=msgspec.to_builtins(batch)
        )


def _failure(future: Future[list[str]]) -> BaseException | None:
    return future.exception() if future.done() and not future.cancelled() else None


def _gone(names: Sequence[str], origins: Origins) -> GoneError:
    some = ", ".join(sorted(names)[:_MOST_NAMED])
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    asked = [*origins.stores, *(one.url for one in origins.caches)]
    return GoneError(
        f"cannot fetch what is locked: {some}{more}",
        hint="no cache has it: put it into one with `osloom push --nix-cache` on the machine that "
        "built it, and name that in `[[nix.cache]]`",
        detail="\n".join(f"not in {one}" for one in asked),
    )
