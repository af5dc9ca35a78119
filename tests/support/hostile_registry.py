"""An image that no one could run, pushed and pulled through a proxy that misbehaves."""

import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from osloom.base.digest import Digest
from osloom.base.progress import silent
from osloom.fetch.registry.reference import Reference
from osloom.fetch.registry.registry import open_registry
from osloom.release.layout import load_layout
from osloom.release.pull import pull
from osloom.release.push import Pushed, Wanted, push
from osloom.store.store import Store
from support.proxy import Behaviour, Exchange
from support.registry import Server

LAYER = 900_000


LAYERS = 3


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


def make_layout(directory: Path) -> Path:
    """An image of three layers."""
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
        "layers": [add(os.urandom(LAYER), "layer.v1.tar") for _ in range(LAYERS)],
    }
    entry = add(json.dumps(manifest).encode(), "manifest.v1+json")
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return directory
