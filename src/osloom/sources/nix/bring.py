"""Store paths into osloom's store: the part of the fetch that runs in several processes.

What costs time is unpacking and hashing, which threads of one Python process mostly do one after
the other. A worker gets a number of paths, because the many small ones wait for the network.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path

import msgspec

from osloom.base.digest import Digest
from osloom.base.errors import FetchError
from osloom.base.progress import Event, Reporter
from osloom.engine.step import Job, action
from osloom.fetch.download import GoneError
from osloom.fetch.storage.location import parse_location
from osloom.fetch.storage.storage import make_storage
from osloom.model.closure import StorePath
from osloom.sources.nix.cache import BinaryCache, CacheSource
from osloom.sources.nix.content import check_content
from osloom.sources.nix.local import read_local
from osloom.sources.nix.nar import Read
from osloom.sources.nix.settings import Settings
from osloom.sources.nix.steps import plan_store_path
from osloom.sources.nix.threads import MOST, PAUSE, Threads
from osloom.store.staged import Staged, staged
from osloom.store.store import Store

_HEARD = 1 << 20
"""Bytes between two reports of one path."""


class Origins(msgspec.Struct, frozen=True, kw_only=True):
    """Where store paths may be had."""

    stores: tuple[str, ...] = ()
    """Directories with store paths in them, on this machine."""
    caches: tuple[CacheSource, ...] = ()
    """In the order in which they are tried; those that had the path when it was locked first."""
    directory: str
    """Which relative addresses are below."""
    settings: Settings


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """Store paths for one worker."""

    paths: tuple[StorePath, ...]
    origins: Origins


@action(version=1)
def bring_paths(job: Job) -> Mapping[str, Digest]:
    """Bring the paths of a Batch, and record them as results of their steps.

    The fact `gone` has the names of those that are nowhere, one a line. Raises FetchError.
    """
    batch = msgspec.convert(job.parameters, Batch)
    with open_caches(batch.origins) as caches:
        bringer = Bringer(job.store, batch.origins, caches, job.report)
        gone = bringer.bring(batch.paths)
    job.facts["gone"] = "\n".join(gone)
    return {}


@contextlib.contextmanager
def open_caches(origins: Origins) -> Iterator[list[BinaryCache]]:
    """The caches of `origins`; they are stopped when the block is left by an error."""
    access = origins.settings.access()
    caches = [
        BinaryCache(
            source, make_storage(parse_location(source.url, Path(origins.directory)), access)
        )
        for source in origins.caches
    ]
    try:
        yield caches
    except BaseException:
        for one in caches:
            one.storage.stop()
        raise
    finally:
        for one in caches:
            one.storage.close()


class Bringer:
    """Brings paths from `origins`, of which `caches` are open."""

    def __init__(
        self, store: Store, origins: Origins, caches: Sequence[BinaryCache], report: Reporter
    ) -> None:
        self._store = store
        self._origins = origins
        self._caches = caches
        self._report = report
        self._stopped = threading.Event()
        self._threads = Threads()

    def bring(self, paths: Sequence[StorePath]) -> list[str]:
        """Gives the names of those that are nowhere. Raises FetchError."""
        # The largest first: nothing then waits for one that began last.
        todo = sorted(paths, key=lambda path: path.nar_size)
        running: dict[Future[bool], StorePath] = {}
        gone = []
        with ThreadPoolExecutor(max_workers=MOST) as pool:
            try:
                while todo or running:
                    while todo and len(running) < self._threads.count:
                        path = todo.pop()
                        running[pool.submit(self._bring, path)] = path
                    done, _ = wait(running, timeout=PAUSE, return_when=FIRST_COMPLETED)
                    for one in done:
                        path = running.pop(one)
                        if not one.result():
                            gone.append(path.name)
                    self._threads.judge()
            except BaseException:
                self.stop()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return gone

    def stop(self) -> None:
        """Let `bring` fail soon, now and from now on; for any thread."""
        self._stopped.set()
        for cache in self._caches:
            cache.storage.stop()

    def _bring(self, path: StorePath) -> bool:
        """Whether it is somewhere."""
        if self._stopped.is_set():
            raise FetchError("cannot fetch store paths: stopped")
        progress = _Progress(path, self._report)
        step = plan_store_path(path).step
        progress.say("started")
        try:
            with self._store.locked(f"fetch-{step.key}"):
                found = self._store.results.find(step.key) is not None or self._from_any(
                    path, progress
                )
        except BaseException:
            progress.say("failed")
            raise
        progress.say("finished" if found else "failed")
        return found

    def _from_any(self, path: StorePath, progress: "_Progress") -> bool:
        problems: list[FetchError] = []
        for origin, take in self._takers(path, progress):
            try:
                with staged(self._store.blobs) as blobs:
                    read = take(blobs)
                    if read is None:
                        continue
                    _check(path, read, blobs)
                    tree = self._store.add_tree(read.tree)
            except GoneError:
                continue
            except FetchError as error:
                problems.append(
                    FetchError(
                        f"cannot take {path.name} from {origin}: {error.message}",
                        hint=error.hint,
                        detail=error.detail,
                    )
                )
                continue
            self._save(path, tree)
            for problem in problems:
                self._report(Event(kind="note", id=progress.id, title=problem.message))
            return True
        if problems:
            raise _whole(problems)
        return False

    def _takers(
        self, path: StorePath, progress: "_Progress"
    ) -> Iterator[tuple[str, Callable[[Staged], Read | None]]]:
        for store in self._origins.stores:
            yield store, partial(read_local, Path(store), path.name)
        for cache in sorted(self._caches, key=lambda one: one.source.url not in path.caches):
            yield cache.source.url, partial(cache.bring, path, hear=progress.add)

    def _save(self, path: StorePath, tree: Digest) -> None:
        step = plan_store_path(path).step
        for key in {step.key, step.resolved_key({"nar": path.nar_hash})}:
            self._store.results.save(key, {"tree": tree})


def _check(path: StorePath, read: Read, blobs: Staged) -> None:
    """Whether what was read is what the lock has. Raises FetchError."""
    if read.nar_hash != path.nar_hash or read.nar_size != path.nar_size:
        raise FetchError(
            f"its NAR hash is {read.nar_hash}, of {read.nar_size} bytes, and the lock has "
            f"{path.nar_hash}, of {path.nar_size}",
            hint="it was built anew since it was locked, or somebody changed it: run `osloom lock` "
            "if you trust it, or take it from a cache",
        )
    check_content(path, read.tree, blobs.chunks)


def _whole(problems: Sequence[FetchError]) -> FetchError:
    """One error of several: the first, and what else there was below it."""
    first, *others = problems
    detail = "\n".join([first.detail] * bool(first.detail) + [one.message for one in others])
    return FetchError(first.message, hint=first.hint, detail=detail)


class _Progress:
    """What is heard of one path."""

    def __init__(self, path: StorePath, report: Reporter) -> None:
        self.id = f"fetch {path.name}"
        self._path = path
        self._report = report
        self._amount = 0

    def say(self, kind: str) -> None:
        event = Event(
            kind=kind,  # type: ignore[arg-type]
            id=self.id,
            title=f"fetch {self._path.name}",
            group="fetch",
            total=self._path.nar_size if kind == "started" else None,
        )
        self._report(event)

    def add(self, amount: int) -> None:
        self._amount += amount
        if self._amount >= _HEARD:
            event = Event(kind="advanced", id=self.id, group="fetch", amount=self._amount)
            self._report(event)
            self._amount = 0
