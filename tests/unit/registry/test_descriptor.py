"""Manifests of strangers."""

import json
from typing import Any

import pytest

from osloom.base.digest import digest_bytes
from osloom.base.errors import FetchError
from osloom.fetch.registry.descriptor import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    Descriptor,
    Platform,
    choose,
    make_manifest,
)

BLOB = {"mediaType": "x", "digest": "sha256:" + "a" * 64, "size": 3}
IMAGE = {"schemaVersion": 2, "config": BLOB, "layers": [BLOB]}


def index(*platforms: str) -> dict[str, Any]:
    names = ("os", "architecture", "variant")
    return {
        "schemaVersion": 2,
        "manifests": [
            {**BLOB, "size": number, "platform": dict(zip(names, one.split("/"), strict=False))}
            for number, one in enumerate(platforms)
        ],
    }


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


def test_a_manifest_keeps_its_bytes() -> None:
    data = encoded(IMAGE) + b"\n"
    made = make_manifest(data, OCI_MANIFEST)
    assert made.digest == digest_bytes(data)
    assert made.image().layers == (Descriptor(media_type="x", digest=BLOB["digest"], size=3),)  # type: ignore[arg-type]
    assert not made.is_index
    assert make_manifest(encoded(index()), DOCKER_LIST).is_index


@pytest.mark.parametrize(
    ("value", "media_type"),
    [
        ({**IMAGE, "mediaType": OCI_INDEX}, OCI_MANIFEST),
        ({**IMAGE, "manifests": []}, OCI_MANIFEST),
        ({**IMAGE, "manifests": []}, OCI_INDEX),
        (IMAGE, "application/vnd.docker.distribution.manifest.v1+prettyjws"),
        (IMAGE, ""),
        ([], OCI_MANIFEST),
    ],
)
def test_what_is_not_clearly_one_kind_is_refused(value: Any, media_type: str) -> None:
    with pytest.raises(FetchError):
        make_manifest(encoded(value), media_type)


@pytest.mark.parametrize(
    "change",
    [
        {"digest": "sha512:" + "a" * 128},
        {"digest": "sha256:../../etc/passwd"},
        {"size": -1},
        {"size": "3"},
        {"digest": None},
    ],
)
def test_a_blob_that_cannot_be_is_refused(change: dict[str, Any]) -> None:
    made = make_manifest(
        encoded({**IMAGE, "layers": [{**BLOB, **change}]}),
        DOCKER_MANIFEST,
    )
    with pytest.raises(FetchError):
        made.image()


def test_a_platform_is_chosen() -> None:
    made = make_manifest(
        encoded(index("linux/amd64", "linux/arm/v6", "linux/arm/v7", "windows/amd64")), OCI_INDEX
    ).index()

    def chosen(system: str, architecture: str, variant: str = "") -> int | None:
        wanted = Platform(os=system, architecture=architecture, variant=variant)
        found = choose(made, wanted)
        return found.size if found else None

    assert chosen("linux", "amd64") == 0
    assert chosen("linux", "arm") == 1
    assert chosen("linux", "arm", "v7") == 2
    assert chosen("linux", "arm", "v8") is None
    assert chosen("windows", "amd64") == 3
