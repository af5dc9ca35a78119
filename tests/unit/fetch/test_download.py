"""Downloads from a server that drops, stalls and lies."""

import http.server
import threading
from pathlib import Path

import pytest

from osloom.base.digest import digest_bytes
from osloom.base.errors import FetchError
from osloom.base.progress import silent
from osloom.fetch import download
from osloom.fetch.download import GoneError, Wanted, fetch_all, fetch_blob
from osloom.store.store import Store
from support.deb import Deb
from support.repository import Behaviour, Repository, serving

DATA = bytes(range(256)) * 4000
Handler = http.server.BaseHTTPRequestHandler


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_PAUSE", 0.01)


def fetch(tmp_path: Path, behaviour: Behaviour | None, *, data: bytes = DATA) -> Store:
    store = Store(tmp_path / "store")
    repository = Repository([Deb("app")], overrides={"file": data})
    with serving(repository, behaviour) as address:
        wanted = Wanted(
            urls=(f"{address}/file",), digest=digest_bytes(DATA), size=len(DATA), title="file 1"
        )
        fetch_blob(store, wanted, report=silent)
    return store


def test_a_file_becomes_a_blob(tmp_path: Path) -> None:
    assert fetch(tmp_path, None).blobs.read(digest_bytes(DATA)) == DATA


def test_a_connection_that_drops_is_resumed_where_it_was(tmp_path: Path) -> None:
    starts: list[str | None] = []

    def drop(handler: Handler, data: bytes) -> bool:
        starts.append(handler.headers.get("Range"))
        if len(starts) > 2:
            return False
        start = int((starts[-1] or "bytes=0-")[6:].partition("-")[0])
        handler.send_response(206 if start else 200)
        handler.send_header("Content-Length", str(len(data) - start))
        handler.end_headers()
        handler.wfile.write(data[start : start + 300_000])
        return True

    assert fetch(tmp_path, drop).blobs.read(digest_bytes(DATA)) == DATA
    assert starts[0] is None
    assert all(start is not None for start in starts[1:])


def test_a_server_that_fails_twice_is_asked_again(tmp_path: Path) -> None:
    count = 0

    def fail(handler: Handler, _data: bytes) -> bool:
        nonlocal count
        count += 1
        if count < 3:
            handler.send_error(503)
        return count < 3

    fetch(tmp_path, fail)
    assert count == 3


def test_a_truncated_file_is_an_error_and_what_came_is_kept(tmp_path: Path) -> None:
    def short(handler: Handler, data: bytes) -> bool:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(data[:1000])
        return True

    with pytest.raises(FetchError) as caught:
        fetch(tmp_path, short)
    assert caught.value.message.endswith(f"ended after 1000 of {len(DATA)} bytes")
    assert Store(tmp_path / "store").partial(digest_bytes(DATA)).stat().st_size == 1000


def test_a_file_with_another_digest_is_refused_and_removed(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="cannot use file 1: its digest is sha256:"):
        fetch(tmp_path, None, data=b"x" * len(DATA))
    store = Store(tmp_path / "store")
    assert not store.partial(digest_bytes(DATA)).exists()
    assert store.blobs.find(digest_bytes(DATA)) is None


def test_everything_that_is_gone_is_named_at_once(tmp_path: Path) -> None:
    with serving(Repository([Deb("app")])) as address:
        wanted = [
            Wanted(
                urls=(f"{address}/{name}",),
                digest=digest_bytes(name.encode()),
                size=1,
                title=name,
            )
            for name in ("one", "two")
        ]
        with pytest.raises(GoneError, match="cannot fetch what is locked: one, two"):
            fetch_all(Store(tmp_path / "store"), wanted, report=silent)


def test_two_at_once_fetch_a_file_once(tmp_path: Path) -> None:
    count = 0

    def counted(_handler: Handler, _data: bytes) -> bool:
        nonlocal count
        count += 1
        return False

    repository = Repository([Deb("app")], overrides={"file": DATA})
    with serving(repository, counted) as address:
        wanted = Wanted(
            urls=(f"{address}/file",), digest=digest_bytes(DATA), size=len(DATA), title="file"
        )
        threads = [
            threading.Thread(
                target=fetch_blob,
                args=(Store(tmp_path / "store"), wanted),
                kwargs={"report": silent},
            )
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert count == 1
