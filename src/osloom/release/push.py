"""Layouts into a registry: content first, tags last.

No tag moves before the content of every image is there and the registry has confirmed it, so that
a push that is cut off, or that a registry spoils, leaves tags as they were.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TypeVar

import msgspec

from osloom.base.digest import Digest, from_hex
from osloom.base.errors import Error, FetchError
from osloom.base.files import sha256_sparse
from osloom.base.progress import Reporter
from osloom.fetch.registry.descriptor import Descriptor
from osloom.fetch.registry.registry import Registry
from osloom.release.layout import Layout

_WORKERS = 8

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """An image and where it is to be."""

    image: str
    layout: Layout
    repository: str
    tags: tuple[str, ...]
    """At least one."""


class Pushed(msgspec.Struct, frozen=True, kw_only=True):
    """One tag that now stands for the image."""

    image: str
    reference: str
    digest: Digest
    """Of the manifest or index."""
    sent: int
    """Bytes of blobs; those of an image are told with its first tag."""
    skipped: int
    """Bytes of blobs that were there."""
    mounted: int
    """Bytes of blobs that another repository of the registry had."""
    unchanged: bool
    """The tag stood for it before."""


class _Account(msgspec.Struct):
    """What became of the blobs of one image, in bytes."""

    sent: int = 0
    skipped: int = 0
    mounted: int = 0
    guard: threading.Lock = msgspec.field(default_factory=threading.Lock)

    def add(self, how: str, size: int) -> None:
        with self.guard:
            setattr(self, how, getattr(self, how) + size)


def push(
    registry: Registry,
    wanted: Sequence[Wanted],
    *,
    siblings: Mapping[Digest, Sequence[str]],
    report: Reporter,
) -> list[Pushed]:
    """Bring every image under its tags; those that are there cost one request.

    `siblings` are repositories of the same registry that may have a blob: before it is sent, the
    first of them is tried. Raises FetchError, and then no tag stands for something that is not whole.
    """
    with ThreadPoolExecutor(max_workers=_WORKERS) as pool:
        try:
            return _Push(registry, wanted, siblings, report, pool).run()
        except BaseException:
            registry.client.stop()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


class _Push:
    def __init__(
        self,
        registry: Registry,
        wanted: Sequence[Wanted],
        siblings: Mapping[Digest, Sequence[str]],
        report: Reporter,
        pool: ThreadPoolExecutor,
    ) -> None:
        self._registry = registry
        self._wanted = wanted
        self._siblings = siblings
        self._report = report
        self._pool = pool
        self._accounts = [_Account() for _ in wanted]

    def run(self) -> list[Pushed]:
        current = self._map(lambda one: self._is_current(one, one.tags[0]), self._wanted)
        rows = list(zip(self._wanted, self._accounts, current, strict=True))
        there = [one for one, _, same in rows if same]
        changed = [(one, account) for one, account, same in rows if not same]
        for one, account, same in rows:
            account.skipped = sum(blob.size for blob in one.layout.content.blobs) if same else 0
        self._bring_blobs(changed, there)
        self._map(self._bring_manifests, [one for one, _ in changed])
        return [one for tags in self._map(self._tag_all, rows) for one in tags]

    def _map(self, do: Callable[[_Item], _Result], items: Iterable[_Item]) -> list[_Result]:
        futures = [self._pool.submit(do, item) for item in items]
        wait(futures, return_when=FIRST_EXCEPTION)
        failed = next((one for one in futures if one.done() and one.exception()), None)
        return [one.result() for one in ([failed] if failed else futures)]

    def _is_current(self, one: Wanted, tag: str) -> bool:
        found = self._registry.resolve(one.repository, tag, actions="pull,push")
        return found is not None and found.digest == one.layout.content.root.digest

    def _bring_blobs(
        self, changed: Sequence[tuple[Wanted, _Account]], there: Sequence[Wanted]
    ) -> None:
        """One task a blob, for all repositories that need it: the first has it for the others."""
        needs: dict[Digest, dict[str, list[tuple[Wanted, _Account]]]] = {}
        blobs: dict[Digest, Descriptor] = {}
        for one, account in changed:
            for blob in one.layout.content.blobs:
                blobs[blob.digest] = blob
                needs.setdefault(blob.digest, {}).setdefault(one.repository, []).append(
                    (one, account)
                )
        holders = {
            blob.digest: one.repository for one in there for blob in one.layout.content.blobs
        }

        def bring(blob: Descriptor) -> None:
            holder = holders.get(blob.digest)
            for repository, users in needs[blob.digest].items():
                others = [one for one in self._siblings.get(blob.digest, ()) if one != repository]
                source = holder or next(iter(others), None)
                how = self._bring(repository, blob, users[0][0].layout, source)
                for _, account in users:
                    account.add(how, blob.size)
                holder = repository

        # The largest first: nothing then waits for one that began last.
        self._map(bring, sorted(blobs.values(), key=lambda blob: -blob.size))

    def _bring(self, repository: str, blob: Descriptor, layout: Layout, source: str | None) -> str:
        if self._registry.has_blob(repository, blob):
            return "skipped"
        path = layout.path(blob.digest)
        if from_hex(sha256_sparse(path)) != blob.digest:
            raise Error(
                f"cannot push {blob.digest}: {path} holds something else",
                hint=f"remove {layout.directory} and build the image again",
            )
        return self._registry.push_blob(repository, blob, path, source=source, report=self._report)

    def _bring_manifests(self, one: Wanted) -> None:
        """By digest, what is named before what names it; the root too, so that it is tried."""
        for manifest in one.layout.content.manifests:
            self._registry.push_manifest(one.repository, manifest.digest, manifest)

    def _tag_all(self, row: tuple[Wanted, _Account, bool]) -> list[Pushed]:
        one, account, current = row
        root = one.layout.content.root
        rows = []
        for number, tag in enumerate(one.tags):
            first = number == 0
            # Content that was there may have been tagged before, too.
            same = current and (first or self._is_current(one, tag))
            if not same:
                self._registry.push_manifest(one.repository, tag, root)
                if first and not self._is_current(one, tag):
                    raise self._moved(one, tag)
            rows.append(
                Pushed(
                    image=one.image,
                    reference=f"{self._registry.client.host}/{one.repository}:{tag}",
                    digest=root.digest,
                    sent=account.sent if first else 0,
                    skipped=account.skipped if first else 0,
                    mounted=account.mounted if first else 0,
                    unchanged=same,
                )
            )
        return rows

    def _moved(self, one: Wanted, tag: str) -> FetchError:
        name = f"{self._registry.client.host}/{one.repository}:{tag}"
        return FetchError(
            f"cannot push {name}: it stands for something else than what was just pushed",
            hint="someone else pushes to it at the same time, or the registry is damaged",
        )
