"""Registries that break off and lie: a pull goes on where it was, or keeps nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest

from osloom.base.errors import FetchError
from osloom.fetch import retries
from osloom.release.layout import load_layout
from osloom.store.store import Store
from support.hostile_registry import (
    asks,
    is_layer,
    make_layout,
    once,
    pull_from,
    push_to,
    root_of,
    stops_in_the_middle,
)
from support.proxy import Exchange, proxying
from support.registry import Server


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "_PAUSE", 0.01)


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_layout(tmp_path_factory.mktemp("layout"))


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
