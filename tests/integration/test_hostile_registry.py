"""Registries that are slow, break off, are busy and lie: a push ends right or says why.

In front of a real registry stands a proxy that misbehaves; what is in the registry afterwards is
asked of it directly.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from osloom.base.digest import Digest
from osloom.base.errors import Error, FetchError
from osloom.base.progress import silent
from osloom.fetch import retries
from osloom.fetch.registry import uploads
from osloom.fetch.registry.reference import Reference
from osloom.fetch.registry.registry import open_registry
from osloom.release.layout import load_layout
from osloom.release.pull import pull
from osloom.release.push import Pushed, Wanted, push
from osloom.store.store import Store
from support.programs import Programs
from support.proxy import Behaviour, Exchange, Proxy, proxying
from support.registry import Server, running

_LAYER = 900_000
_LAYERS = 3


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "_PAUSE", 0.01)


@pytest.fixture
def registry(registry_programs: Programs, tmp_path: Path) -> Iterator[Server]:
    with running(registry_programs.root, tmp_path / "registry") as server:
        yield server


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image of three layers that no one could run."""
    directory = tmp_path_factory.mktemp("layout")
    (directory / "blobs/sha256").mkdir(parents=True)

    def add(data: bytes, kind: str) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        (directory / "blobs/sha256" / digest).write_bytes(data)
        media_type = f"application/vnd.oci.image.{kind}"
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": add(b'{"architecture": "amd64", "os": "linux"}', "config.v1+json"),
        "layers": [add(os.urandom(_LAYER), "layer.v1.tar") for _ in range(_LAYERS)],
    }
    entry = add(json.dumps(manifest).encode(), "manifest.v1+json")
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return directory


def push_to(address: str, layout: Path, *tags: str, repository: str = "app") -> list[Pushed]:
    wanted = Wanted(
        image="app",
        layout=load_layout(layout),
        repository=repository,
        tags=tags or ("1",),
    )
    with open_registry(address) as registry:
        return push(registry, [wanted], siblings={}, report=silent)


def root_of(layout: Path) -> Digest:
    return load_layout(layout).content.root.digest


def is_absent(server: Server, tag: str = "1", repository: str = "app") -> bool:
    with open_registry(server.address) as registry:
        return registry.resolve(repository, tag) is None


def is_whole(server: Server, layout: Path, directory: Path, tag: str = "1") -> bool:
    """Every byte of it can be had from the registry itself."""
    reference = Reference(registry=server.address, repository="app", tag=tag)
    store = Store(directory / f"store-{time.monotonic_ns()}")
    with open_registry(server.address) as registry:
        pulled = pull(registry, store, reference, directory / "whole", platform=None, report=silent)
    return pulled.digest == root_of(layout)


def once(times: int, fits: Callable[[Exchange], bool], do: Callable[[Exchange], None]) -> Behaviour:
    """Misbehave the first `times` that it fits."""
    left = [times]

    def behave(exchange: Exchange) -> bool:
        if left[0] == 0 or not fits(exchange):
            return False
        left[0] -= 1
        do(exchange)
        return True

    return behave


def asks(method: str, part: str = "/") -> Callable[[Exchange], bool]:
    return lambda exchange: exchange.method == method and part in exchange.path


def is_blob_put(exchange: Exchange) -> bool:
    return exchange.method == "PUT" and "/uploads/" in exchange.path and len(exchange.body) > 1000


def anything(_exchange: Exchange) -> bool:
    return True


def busy(exchange: Exchange) -> None:
    exchange.answer(429, {"Retry-After": "0"})


def broken(exchange: Exchange) -> None:
    exchange.answer(500, data=b"<html>")


def forgets_the_answer(exchange: Exchange) -> None:
    exchange.forward()
    exchange.drop()


def sends_half(exchange: Exchange) -> None:
    exchange.forward(exchange.body[: len(exchange.body) // 2])
    exchange.drop()


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
    assert begun == _LAYERS + 1
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
        if path.stat().st_size == _LAYER:
            path.write_bytes(bytes(_LAYER))
    with pytest.raises(Error, match="holds something else"):
        push_to(registry.address, other)
    assert is_absent(registry)


def pull_from(address: str, store: Store, target: Path) -> Digest:
    reference = Reference(registry=address, repository="app", tag="1")
    with open_registry(address) as registry:
        return pull(registry, store, reference, target, platform=None, report=silent).digest


def is_layer(exchange: Exchange) -> bool:
    return exchange.method == "GET" and "/blobs/" in exchange.path


def stops_in_the_middle(exchange: Exchange) -> None:
    status, headers, data = exchange.forward()
    headers = {name: value for name, value in headers.items() if name.lower() != "content-length"}
    headers["Content-Length"] = str(len(data))
    exchange.handler.send_response(status)
    for name, value in headers.items():
        exchange.handler.send_header(name, value)
    exchange.handler.end_headers()
    exchange.handler.wfile.write(data[: min(len(data) // 2, 100_000)])
    exchange.drop()


def test_a_pull_goes_on_where_it_was_cut_off(
    registry: Server, layout: Path, tmp_path: Path
) -> None:
    push_to(registry.address, layout)
    with proxying(registry.address, once(12, is_layer, stops_in_the_middle)) as proxy:
        digest = pull_from(proxy.address, Store(tmp_path / "store"), tmp_path / "pulled")
        ranges = [one["Range"] for one in proxy.headers if "Range" in one]
    assert digest == root_of(layout)
    assert "bytes=100000-" in ranges


def test_a_pull_that_was_given_up_is_continued_by_the_next(
    registry: Server, layout: Path, tmp_path: Path
) -> None:
    push_to(registry.address, layout)
    store = Store(tmp_path / "store")

    def short(exchange: Exchange) -> None:
        exchange.answer(500) if "Range" in exchange.handler.headers else stops_in_the_middle(
            exchange
        )

    with (
        proxying(registry.address, once(10**6, is_layer, short)) as proxy,
        pytest.raises(FetchError),
    ):
        pull_from(proxy.address, store, tmp_path / "pulled")
    assert not (tmp_path / "pulled").exists()
    with proxying(registry.address) as proxy:
        assert pull_from(proxy.address, store, tmp_path / "pulled") == root_of(layout)
        assert any("Range" in one for one in proxy.headers)


def test_a_download_that_always_ends_early_is_given_up(
    registry: Server, layout: Path, tmp_path: Path
) -> None:
    push_to(registry.address, layout)

    def from_the_start(exchange: Exchange) -> None:
        del exchange.handler.headers["Range"]
        stops_in_the_middle(exchange)

    with (
        proxying(registry.address, once(10**6, is_layer, from_the_start)) as proxy,
        pytest.raises(FetchError),
    ):
        pull_from(proxy.address, Store(tmp_path / "store"), tmp_path / "pulled")


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


def other_bytes(exchange: Exchange) -> None:
    status, headers, data = exchange.forward()
    exchange.answer(status, headers, bytes(len(data)))


def more_bytes(exchange: Exchange) -> None:
    status, headers, data = exchange.forward()
    exchange.answer(status, {**headers, "Content-Length": str(len(data) + 9)}, data + bytes(9))


def other_manifest(exchange: Exchange) -> None:
    status, headers, data = exchange.forward()
    exchange.answer(status, {**headers, "Content-Length": str(len(data) + 1)}, data + b"\n")


@pytest.mark.parametrize(
    ("fits", "do", "said"),
    [
        (is_layer, other_bytes, "the digest of what came is"),
        (is_layer, more_bytes, "more comes than its"),
        (asks("GET", "/manifests/"), other_manifest, "the registry gives"),
        (asks("GET", "/manifests/"), lambda one: one.answer(200, data=b"x" * (5 << 20)), "4 MiB"),
        (asks("GET", "/manifests/"), lambda one: one.answer(200, data=b"{"), "not a kind of image"),
    ],
)
def test_what_is_not_what_was_promised_is_not_kept(
    registry: Server,
    layout: Path,
    tmp_path: Path,
    fits: Callable[[Exchange], bool],
    do: Callable[[Exchange], None],
    said: str,
) -> None:
    push_to(registry.address, layout)
    with (
        proxying(registry.address, once(10**6, fits, do)) as proxy,
        pytest.raises(FetchError) as caught,
    ):
        pull_from(proxy.address, Store(tmp_path / "store"), tmp_path / "pulled")
    assert said in caught.value.message
    assert list(tmp_path.glob("*pulled*")) == []
    blobs = Store(tmp_path / "store").blobs
    for one in load_layout(layout).content.blobs:
        found = blobs.find(one.digest)
        assert found is None or found.stat().st_size == one.size


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
        assert elsewhere.count("GET") == _LAYERS + 1
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
