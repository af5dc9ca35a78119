"""Blobs of a registry into the store: verified, resumed, never more than was promised."""

import re
import time

from osloom.base.digest import digest_json, from_hex, to_hex
from osloom.base.errors import FetchError
from osloom.base.files import sha256_sparse
from osloom.base.progress import Event, Reporter
from osloom.fetch.http import Response
from osloom.fetch.registry.client import Client
from osloom.fetch.registry.descriptor import Descriptor
from osloom.fetch.registry.messages import SMALL, Request, read
from osloom.fetch.retries import AGAIN, Retries, retry_after
from osloom.store.blobs import store_error
from osloom.store.store import Store


def fetch_blob(
    client: Client, store: Store, repository: str, descriptor: Descriptor, report: Reporter
) -> None:
    """Bring a blob into the store, where it is not there already; a cut-off one is resumed.

    Raises FetchError when it does not come whole, or is not what the descriptor says.
    """
    if store.blobs.find(descriptor.digest) is not None:
        return
    title = f"fetch {descriptor.digest[7:19]} of {client.host}/{repository}"
    event_id = f"fetch {descriptor.digest}"
    start = time.monotonic()
    report(Event(kind="started", id=event_id, title=title, group="fetch", total=descriptor.size))
    try:
        with store.locked(f"fetch-{to_hex(descriptor.digest)}"):
            if store.blobs.find(descriptor.digest) is None:
                _Download(client, store, repository, descriptor, report).run()
    except BaseException:
        report(Event(kind="failed", id=event_id, title=title, group="fetch"))
        raise
    seconds = time.monotonic() - start
    report(Event(kind="finished", id=event_id, title=title, group="fetch", seconds=seconds))


class _Download:
    def __init__(
        self,
        client: Client,
        store: Store,
        repository: str,
        descriptor: Descriptor,
        report: Reporter,
    ) -> None:
        self._client = client
        self._store = store
        self._repository = repository
        self._wanted = descriptor
        self._report = report
        self._partial = store.partial(descriptor.digest)
        self._furthest = 0
        """Bytes that there have ever been: to come so far again is no progress."""
        self._url = f"/v2/{repository}/blobs/{descriptor.digest}"
        self._title = f"fetch {descriptor.digest} of {client.host}/{repository}"

    def run(self) -> None:
        retries = self._client.retries()
        while True:
            with retries.transport():
                try:
                    self._transfer(retries)
                    if self._have() == self._wanted.size:
                        self._keep()
                        return
                except OSError as error:
                    raise store_error("write to", self._store.root, error) from error
            retries.wait()

    def _have(self) -> int:
        return self._partial.stat().st_size if self._partial.exists() else 0

    def _transfer(self, retries: Retries) -> None:
        """Bring the partial file nearer to its full size, from where it is."""
        have = self._have()
        if have > self._wanted.size:
            self._partial.unlink()
            have = 0
        if have == self._wanted.size:
            self._partial.touch()
            return
        scopes = (f"repository:{self._repository}:pull",)
        headers = {"Range": f"bytes={have}-"} if have else {}
        request = Request(method="GET", url=self._url, scopes=scopes, headers=headers)
        with self._client.stream(request) as answer:
            status = answer.status
            if status in AGAIN:
                retries.failed(f"it answered with status {status}", retry_after(answer.headers))
            elif status == 416 or (status == 206 and _start(answer) != have):
                # It does not have the rest that it should have: from the start, then.
                self._partial.unlink(missing_ok=True)
                retries.failed("it does not resume where it was asked to")
            elif status in (200, 206):
                self._receive(answer, retries, append=status == 206)
            else:
                raise self._client.denied(read(answer, SMALL), scopes, self._title)

    def _receive(self, answer: Response, retries: Retries, *, append: bool) -> None:
        with self._partial.open("ab" if append else "wb") as file:
            # As they come: chunks of a size of our own would lose the last one of a cut-off body.
            for chunk in answer.pieces():
                if file.tell() + len(chunk) > self._wanted.size:
                    file.truncate(0)
                    raise FetchError(
                        f"cannot {self._title}: more comes than its {self._wanted.size} bytes",
                        hint="the registry holds something else than it says: do not use it",
                    )
                file.write(chunk)
                if file.tell() > self._furthest:
                    self._furthest = file.tell()
                    retries.moved()
                self._report(
                    Event(
                        kind="advanced",
                        id=f"fetch {self._wanted.digest}",
                        group="fetch",
                        amount=len(chunk),
                    )
                )
                if self._client.stopped.is_set():
                    raise FetchError(f"cannot {self._title}: stopped")
            size = file.tell()
        if size < self._wanted.size:
            retries.failed(f"{self._wanted.digest} ended after {size} of {self._wanted.size} bytes")

    def _keep(self) -> None:
        found = from_hex(sha256_sparse(self._partial))
        if found != self._wanted.digest:
            self._partial.unlink()
            raise FetchError(
                f"cannot {self._title}: the digest of what came is {found}",
                hint="the registry holds something else than it says: do not use it",
            )
        self._store.blobs.add_file(self._partial)
        # What no result names, `osloom cache prune` takes away.
        self._store.results.save(digest_json(["fetch", found]), {"file": found})


def _start(answer: Response) -> int | None:
    """The first byte of a part, RFC 9110 section 14.4."""
    found = re.match(r"bytes ([0-9]{1,18})-", answer.headers.get("Content-Range", ""))
    return int(found[1]) if found else None
