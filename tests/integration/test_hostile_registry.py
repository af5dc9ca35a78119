"""Registries that are slow, break off, are busy and lie: a push ends right or says why.

In front of a real registry stands a proxy that misbehaves; what is in the registry afterwards is
asked of it directly.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from osloom.base.errors import Error, FetchError
from osloom.base.progress import silent
from osloom.fetch import retries
from osloom.fetch.registry import uploads
from osloom.fetch.registry.registry import open_registry
from osloom.release.layout import load_layout
from osloom.release.push import Wanted, push
from osloom.store.store import Store
from support.hostile_registry import (
    LAYER,
    LAYERS,
    anything,
    asks,
    broken,
    busy,
    forgets_the_answer,
    is_absent,
    is_blob_put,
    is_layer,
    is_whole,
    make_layout,
    once,
    pull_from,
    push_to,
    root_of,
    sends_half,
)
from support.programs import Programs
from support.proxy import Exchange, Proxy, proxying
from support.registry import Server, running


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "_PAUSE", 0.01)


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_layout(tmp_path_factory.mktemp("layout"))


@pytest.mark.parametrize(
    ("times", "fits", "do"),
    [
        (4, anything, busy),
        (4, anything, broken),
        (1, anything, Exchange.drop),
        (3, asks("HEAD"), Exchange.drop),
        (3, asks("POST"), broken),
        (3, asks("POST"), Exchange.drop),
        (3, is_blob_put, Exchange.drop),
        (3, is_blob_put, forgets_the_answer),
        (3, is_blob_put, sends_half),
        (2, is_blob_put, broken),
        (3, asks("PUT", "/manifests/"), forgets_the_answer),
        (3, asks("PUT", "/manifests/"), busy),
    ],
)
def test_a_trouble_that_passes_does_not_stop_a_push(
    registry: Server,
    layout: Path,
    tmp_path: Path,
    times: int,
    fits: Callable[[Exchange], bool],
    do: Callable[[Exchange], None],
) -> None:
    with proxying(registry.address, once(times, fits, do)) as proxy:
        (pushed,) = push_to(proxy.address, layout)
    assert pushed.digest == root_of(layout)
    assert is_whole(registry, layout, tmp_path)


def test_a_registry_that_asks_for_patience_gets_it(
    registry: Server, layout: Path, tmp_path: Path
) -> None:
    times: list[float] = []

    def wait(exchange: Exchange) -> None:
        times.append(time.monotonic())
        exchange.answer(429, {"Retry-After": "1"})

    def note(exchange: Exchange) -> bool:
        if exchange.method == "POST":
            times.append(time.monotonic())
        return False

    first = once(1, asks("POST"), wait)
    with proxying(registry.address, lambda one: first(one) or note(one)) as proxy:
        push_to(proxy.address, layout)
    assert max(times) - min(times) >= 1
    assert is_whole(registry, layout, tmp_path)


def test_large_blobs_go_in_chunks_and_on_from_where_they_were(
    registry: Server, layout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "_CHUNK", 200_000)
    calls = [0]

    def lose_some(exchange: Exchange) -> bool:
        # Whoever buffers bodies, as load balancers do, loses them whole.
        if exchange.method != "PATCH":
            return False
        calls[0] += 1
        if calls[0] % 3 == 0:
            exchange.drop()
            return True
        return False

    with proxying(registry.address, lose_some) as proxy:
        push_to(proxy.address, layout)
        begun = proxy.count("POST")
        asked = proxy.count("GET", "/uploads/")
    assert begun == LAYERS + 1
    assert asked > 0
    assert is_whole(registry, layout, tmp_path)


def test_a_chunk_of_which_half_came_is_no_harm(
    registry: Server, layout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "_CHUNK", 200_000)
    with proxying(registry.address, once(2, asks("PATCH"), sends_half)) as proxy:
        push_to(proxy.address, layout)
    assert is_whole(registry, layout, tmp_path)


def test_a_registry_without_chunks_gets_blobs_in_one_piece(
    registry: Server, layout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "_CHUNK", 200_000)

    def refuse(exchange: Exchange) -> bool:
        if exchange.method == "PATCH":
            exchange.answer(405)
            return True
        return False

    with proxying(registry.address, refuse) as proxy:
        push_to(proxy.address, layout)
    assert is_whole(registry, layout, tmp_path)


def _says(name: str, value: str) -> Callable[[Exchange], None]:
    """The registry does it, and a header of its answer is not true."""

    def do(exchange: Exchange) -> None:
        status, headers, data = exchange.forward()
        exchange.answer(status, {**headers, name: value}, data)

    return do


def swallows(exchange: Exchange) -> None:
    """Says that all is well, and keeps nothing."""
    exchange.answer(201, {"Location": exchange.path})


def cuts(exchange: Exchange) -> None:
    exchange.answer(*exchange.forward(exchange.body[:-100]))


OTHER = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("fits", "do", "said"),
    [
        (is_blob_put, swallows, "the registry took it and does not have it"),
        (is_blob_put, _says("Docker-Content-Digest", OTHER), f"says that it got {OTHER}"),
        (is_blob_put, cuts, "digest"),
        (asks("HEAD", "/blobs/"), _says("Content-Length", "7"), "of 7 bytes"),
        (
            asks("PUT", "/manifests/sha256:"),
            _says("Docker-Content-Digest", OTHER),
            f"the registry kept {OTHER}",
        ),
        (asks("PUT", "/manifests/sha256:"), broken, "answered with status 500"),
        (is_blob_put, broken, "status 500"),
        (asks("POST"), busy, "answered with status 429"),
        (asks("POST"), lambda one: one.answer(403), "answered with status 403"),
        (asks("HEAD"), Exchange.drop, "cannot reach"),
        (asks("PUT", "/manifests/"), Exchange.drop, "cannot reach"),
        (asks("PUT", "/manifests/1"), swallows, "stands for something else"),
    ],
)
def test_a_registry_that_lies_or_stays_broken_gets_no_tag(
    registry: Server,
    layout: Path,
    fits: Callable[[Exchange], bool],
    do: Callable[[Exchange], None],
    said: str,
) -> None:
    with (
        proxying(registry.address, once(10**6, fits, do)) as proxy,
        pytest.raises(FetchError) as caught,
    ):
        push_to(proxy.address, layout)
    assert said in caught.value.message
    assert is_absent(registry)


def test_what_stood_under_the_tag_stays_when_a_push_fails(
    registry: Server, layout: Path, tmp_path: Path
) -> None:
    push_to(registry.address, layout)
    other = _changed(layout, tmp_path / "other")
    with (
        proxying(registry.address, once(10**6, is_blob_put, broken)) as proxy,
        pytest.raises(FetchError),
    ):
        push_to(proxy.address, other)
    assert is_whole(registry, layout, tmp_path)


def _changed(layout: Path, target: Path) -> Path:
    import shutil

    shutil.copytree(layout, target)
    (entry,) = json.loads((target / "index.json").read_text())["manifests"]
    manifest = json.loads((target / "blobs/sha256" / entry["digest"][7:]).read_bytes())
    data = os.urandom(5000)
    digest = hashlib.sha256(data).hexdigest()
    (target / "blobs/sha256" / digest).write_bytes(data)
    manifest["layers"].append(
        {**manifest["layers"][0], "digest": f"sha256:{digest}", "size": len(data)}
    )
    text = json.dumps(manifest).encode()
    name = hashlib.sha256(text).hexdigest()
    (target / "blobs/sha256" / name).write_bytes(text)
    changed = {**entry, "digest": f"sha256:{name}", "size": len(text)}
    (target / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [changed]}))
    return target


def test_no_tag_moves_when_one_image_of_several_fails(registry: Server, layout: Path) -> None:
    def behave(exchange: Exchange) -> bool:
        if is_blob_put(exchange) and "/second/" in exchange.path:
            exchange.answer(403)
            return True
        if exchange.method == "POST" and "mount=" in exchange.path:
            exchange.answer(403)
            return True
        return False

    loaded = load_layout(layout)
    wanted = [
        Wanted(image=name, layout=loaded, repository=name, tags=("1",))
        for name in ("first", "second")
    ]
    with (
        proxying(registry.address, behave) as proxy,
        pytest.raises(FetchError),
        open_registry(proxy.address) as opened,
    ):
        push(opened, wanted, siblings={}, report=silent)
    assert is_absent(registry, repository="first")
    assert is_absent(registry, repository="second")


def test_a_layout_that_was_damaged_is_not_pushed(
    registry: Server, layout: Path, tmp_path: Path
) -> None:
    other = _changed(layout, tmp_path / "other")
    for path in (other / "blobs/sha256").iterdir():
        if path.stat().st_size == LAYER:
            path.write_bytes(bytes(LAYER))
    with pytest.raises(Error, match="holds something else"):
        push_to(registry.address, other)
    assert is_absent(registry)


def test_an_upload_that_is_always_forgotten_is_given_up(
    registry: Server, layout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "_CHUNK", 200_000)

    def forget(exchange: Exchange) -> bool:
        start = exchange.handler.headers.get("Content-Range", "0-").partition("-")[0]
        if exchange.method == "PATCH" and start != "0":
            exchange.answer(416)
        elif exchange.method == "GET" and "/uploads/" in exchange.path:
            exchange.answer(204, {"Location": exchange.path, "Range": "0-0"})
        else:
            return False
        return True

    with proxying(registry.address, forget) as proxy, pytest.raises(FetchError):
        push_to(proxy.address, layout)
    assert is_absent(registry)


@pytest.fixture
def guarded(registry_programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A registry with a password, which osloom knows for any address of the test."""
    hashed = registry_programs("usr/bin/htpasswd", "-nbB", "user", "secret")
    (tmp_path / "htpasswd").write_text(hashed)
    basic = {"htpasswd": {"realm": "the test", "path": str(tmp_path / "htpasswd")}}
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "auth.json"))

    def allow(*addresses: str) -> None:
        auths = {one: {"auth": "dXNlcjpzZWNyZXQ="} for one in addresses}
        (tmp_path / "auth.json").write_text(json.dumps({"auths": auths}))

    with running(registry_programs.root, tmp_path / "registry", {"auth": basic}) as server:
        yield server, allow


def _redirects_to(proxy: Proxy) -> Callable[[Exchange], None]:
    return lambda one: one.answer(307, {"Location": f"http://{proxy.address}{one.path}"})


def test_credentials_never_go_to_another_host(guarded: Any, layout: Path, tmp_path: Path) -> None:
    server, allow = guarded
    blobs = {
        f"sha256:{path.name}": path.read_bytes() for path in (layout / "blobs/sha256").iterdir()
    }

    def storage(exchange: Exchange) -> bool:
        if exchange.method == "GET":
            exchange.answer(200, data=blobs[exchange.path.rpartition("/")[2]])
        else:
            exchange.answer(500)
        return True

    with proxying(server.address, storage) as elsewhere:
        leads = once(10**6, is_layer, _redirects_to(elsewhere))
        with proxying(server.address, leads) as proxy:
            allow(proxy.address)
            push_to(proxy.address, layout)
            store = Store(tmp_path / "store")
            assert pull_from(proxy.address, store, tmp_path / "pulled") == root_of(layout)
        assert elsewhere.count("GET") == LAYERS + 1
        assert not any("Authorization" in one for one in elsewhere.headers)
        # Nor when it is an upload that leads away.
        away = once(10**6, asks("PUT", "/uploads/"), _redirects_to(elsewhere))
        with proxying(server.address, away) as proxy:
            allow(proxy.address)
            with pytest.raises(FetchError):
                push_to(proxy.address, layout, repository="other")
        assert elsewhere.count("PUT") > 0
        assert not any("Authorization" in one for one in elsewhere.headers)


def test_a_slow_registry_is_waited_for(registry: Server, layout: Path, tmp_path: Path) -> None:
    def slow(exchange: Exchange) -> bool:
        time.sleep(0.1)
        status, headers, data = exchange.forward()
        exchange.handler.send_response(status)
        for name, value in headers.items():
            exchange.handler.send_header(name, value)
        exchange.handler.end_headers()
        for place in range(0, 0 if exchange.method == "HEAD" else len(data), 100_000):
            exchange.handler.wfile.write(data[place : place + 100_000])
            exchange.handler.wfile.flush()
            time.sleep(0.05)
        return True

    with proxying(registry.address, slow) as proxy:
        push_to(proxy.address, layout)
        store = Store(tmp_path / "store")
        assert pull_from(proxy.address, store, tmp_path / "pulled") == root_of(layout)


def test_a_registry_that_sends_in_circles_is_left(registry: Server) -> None:
    def circle(exchange: Exchange) -> None:
        exchange.answer(302, {"Location": exchange.path})

    with (
        proxying(registry.address, once(10**6, asks("HEAD"), circle)) as proxy,
        pytest.raises(FetchError, match="from one place to the next"),
    ):
        is_absent(Server(proxy.address, Path(), Path()))
