"""Verified bytes from elsewhere into the store.

A download goes to the store's `partial` area under the digest it must have; one that was cut off
is resumed there, by this process or by a later one. It becomes a blob only when size and digest
are right.
"""

import contextlib
import hashlib
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urljoin

import msgspec

from osloom.base.addresses import without_login
from osloom.base.digest import Digest, digest_json, to_hex
from osloom.base.errors import FetchError
from osloom.base.progress import Event, Reporter
from osloom.fetch.http import AddressError, Http, Response, TransportError
from osloom.fetch.trust import make_context
from osloom.store.blobs import store_error
from osloom.store.store import Store

_TRIES = 5
_PAUSE = 0.5
"""Seconds before the second try; doubled each time."""
_PATIENCE = 30.0
"""Seconds without a byte."""
_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 20
_GONE = (403, 404, 410)


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """One file to fetch."""

    urls: tuple[str, ...]
    """The first that answers is taken."""
    digest: Digest
    size: int
    title: str
    """As people call it: `bash 5.2.37-2`."""


class GoneError(FetchError):
    """None of the addresses has the file any more."""


class _AgainError(Exception):
    """Worth another try."""


@contextlib.contextmanager
def client() -> Iterator[Http]:
    """An HTTP client; proxies and certificates come from the environment."""
    with Http(lambda: make_context([], None)) as made:
        yield made


def fetch_text(http: Http, url: str) -> bytes | None:
    """A small file that is verified by other means; None when it is not there."""
    problem = ""
    for attempt in range(_TRIES):
        try:
            with _asked(http, url) as answer:
                if answer.status in _GONE:
                    return None
                if answer.status == 200:
                    return b"".join(answer.pieces())
                problem = f"it answers with status {answer.status}"
        except TransportError as error:
            problem = str(error)
        if attempt + 1 < _TRIES:
            time.sleep(_PAUSE * 2**attempt)
    raise FetchError(
        f"cannot fetch {url}: {problem}", hint="check the network and the mirror, then run again"
    )


@contextlib.contextmanager
def _asked(http: Http, url: str, headers: Mapping[str, str] | None = None) -> Iterator[Response]:
    """The answer to a GET, redirects followed. Raises TransportError, and FetchError."""
    place = url
    for _ in range(_MOST_REDIRECTS + 1):
        try:
            answer = http.send("GET", place, headers=headers, patience=_PATIENCE)
        except AddressError as error:
            raise _no_address(place) from error
        with contextlib.closing(answer):
            onward = answer.headers.get("Location")
            if onward is None or answer.status not in _REDIRECTS:
                yield answer
                return
        place = urljoin(place, onward)
    raise TransportError("it sends from one place to the next without end")


def _no_address(url: str) -> FetchError:
    # What is wrong with it may be a part of its password.
    return FetchError(
        f"cannot fetch {without_login(url)}: this is no address, or its name and password make none",
        hint="write what is special in them as in `%23` for `#` and `%2F` for `/`",
    )


def fetch_all(
    store: Store, wanted: Sequence[Wanted], *, report: Reporter, workers: int = 8
) -> None:
    """Fetch what the store does not hold, in parallel; raises the first error.

    Raises GoneError with every file that is gone, so that they can be named at once.
    """
    todo = [one for one in wanted if store.blobs.find(one.digest) is None]
    if not todo:
        return
    stop = threading.Event()
    gone: list[Wanted] = []
    with client() as http, ThreadPoolExecutor(max_workers=workers) as pool:
        futures = [pool.submit(_fetch, store, http, one, report, stop) for one in todo]
        try:
            for future, one in zip(futures, todo, strict=True):
                try:
                    future.result()
                except GoneError:
                    gone.append(one)
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    if gone:
        raise GoneError(
            "cannot fetch what is locked: "
            + ", ".join(one.title for one in gone[:10])
            + (f" and {len(gone) - 10} more" if len(gone) > 10 else ""),
            detail="\n".join(one.urls[0] for one in gone),
        )


def fetch_blob(store: Store, one: Wanted, *, report: Reporter) -> Digest:
    fetch_all(store, [one], report=report)
    return one.digest


def _fetch(store: Store, http: Http, one: Wanted, report: Reporter, stop: threading.Event) -> None:
    event_id = f"fetch {one.digest}"
    report(
        Event(
            kind="started", id=event_id, title=f"fetch {one.title}", group="fetch", total=one.size
        )
    )
    start = time.monotonic()
    try:
        with store.locked(f"fetch-{to_hex(one.digest)}"):
            if store.blobs.find(one.digest) is None:
                _fetch_from_any(store, http, one, report, stop)
    except BaseException:
        report(Event(kind="failed", id=event_id, title=f"fetch {one.title}", group="fetch"))
        raise
    seconds = time.monotonic() - start
    report(
        Event(
            kind="finished", id=event_id, title=f"fetch {one.title}", group="fetch", seconds=seconds
        )
    )


def _fetch_from_any(
    store: Store, http: Http, one: Wanted, report: Reporter, stop: threading.Event
) -> None:
    partial = store.partial(one.digest)
    problem = "no address is known"
    for attempt in range(_TRIES):
        missing = 0
        for url in one.urls:
            if stop.is_set():
                raise FetchError("cannot fetch: stopped")
            try:
                _transfer(http, url, one, partial, report, stop)
                _keep(store, one, partial, url)
            except GoneError:
                missing += 1
            except _AgainError as error:
                problem = str(error)
            else:
                return
        if missing == len(one.urls):
            raise GoneError(f"cannot fetch {one.title}: the mirror no longer has it")
        stop.wait(_PAUSE * 2**attempt)
    raise FetchError(
        f"cannot fetch {one.title}: {problem}",
        hint="check the network and the mirror, then run again: what came so far is kept",
    )


def _transfer(
    http: Http,
    url: str,
    one: Wanted,
    partial: Path,
    report: Reporter,
    stop: threading.Event,
) -> None:
    """Bring `partial` to its full size, from where it is."""
    have = partial.stat().st_size if partial.exists() else 0
    if have > one.size:
        partial.unlink()
        have = 0
    if have == one.size:
        return
    headers = {"Range": f"bytes={have}-"} if have else {}
    try:
        with _asked(http, url, headers) as answer:
            if answer.status in _GONE:
                raise GoneError(f"cannot fetch {url}: status {answer.status}")
            if answer.status not in (200, 206):
                raise _AgainError(f"{url} answered with status {answer.status}")
            mode = "ab" if answer.status == 206 else "wb"
            with partial.open(mode) as file:
                for chunk in answer.pieces():
                    file.write(chunk)
                    report(
                        Event(
                            kind="advanced",
                            id=f"fetch {one.digest}",
                            group="fetch",
                            amount=len(chunk),
                        )
                    )
                    if stop.is_set():
                        raise FetchError("cannot fetch: stopped")
                    if file.tell() > one.size:
                        break
    except TransportError as error:
        raise _AgainError(f"{url}: {error}") from error
    except OSError as error:
        raise store_error("write to", partial.parent.parent, error) from error


def _keep(store: Store, one: Wanted, partial: Path, url: str) -> None:
    size = partial.stat().st_size
    if size < one.size:
        raise _AgainError(f"{url} ended after {size} of {one.size} bytes")
    with partial.open("rb") as file:
        found = Digest("sha256:" + hashlib.file_digest(file, "sha256").hexdigest())
    if found != one.digest:
        partial.unlink()
        raise FetchError(
            f"cannot use {one.title}: its digest is {found}, expected {one.digest}",
            hint="the mirror holds something else than what was locked: do not use it, "
            "or run `osloom lock` when the repository really changed",
            detail=url,
        )
    store.blobs.add_file(partial)
    store.results.save(digest_json(["fetch", one.digest]), {"file": one.digest})
