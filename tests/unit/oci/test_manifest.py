"""What can be a base, and what cannot."""

import json
from typing import Any

import msgspec
import pytest

from osloom.base.digest import Digest
from osloom.base.errors import LockError
from osloom.fetch.registry.descriptor import (
    TAG_ANNOTATION,
    Descriptor,
    ImageIndex,
    ImageManifest,
    Platform,
)
from osloom.sources.oci.manifest import CONFIG, check_manifest, choose, layers_of, oci_type

WHAT = "the base `oci:debian:13`"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def digest(number: int) -> Digest:
    return Digest(f"sha256:{number:064x}")


def one(number: int, media_type: str = LAYER, platform: str | None = None) -> Descriptor:
    found = None
    if platform:
        system, architecture, variant = (*platform.split("/"), "")[:3]
        found = Platform(os=system, architecture=architecture, variant=variant)
    return Descriptor(media_type=media_type, digest=digest(number), size=1, platform=found)


def listed(*platforms: str | None) -> ImageIndex:
    manifests = tuple(one(number, platform=name) for number, name in enumerate(platforms))
    return ImageIndex(schema_version=2, manifests=manifests)


@pytest.mark.parametrize(
    ("platforms", "architecture", "chosen"),
    [
        (("linux/arm64/v8", "linux/amd64"), "amd64", 1),
        (("linux/arm/v7", "linux/arm64/v8"), "arm64", 1),
        (("linux/arm64/v8", "linux/arm64"), "arm64", 1),
        (("linux/amd64/v3", "linux/amd64"), "amd64", 1),
        (("windows/amd64", "linux/amd64", "unknown/unknown"), "amd64", 1),
        ((None,), "amd64", 0),
    ],
)
def test_the_plainest_of_the_platform_is_taken(
    platforms: tuple[str | None, ...], architecture: str, chosen: int
) -> None:
    assert choose(listed(*platforms), architecture, what=WHAT).digest == digest(chosen)


def test_a_platform_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(LockError) as caught:
        choose(
            listed("linux/s390x", "windows/amd64", "linux/amd64/v3", "unknown/unknown"),
            "amd64",
            what=WHAT,
        )
    assert caught.value.message == f"cannot use {WHAT}: it is not there for linux/amd64"
    assert caught.value.hint == (
        "it is there for linux/amd64/v3, linux/s390x, windows/amd64: "
        "set `architecture`, or choose another base"
    )


def tagged(**tags: int) -> ImageIndex:
    """A layout's index, as tools write it: with tags and without platforms."""
    manifests = tuple(
        msgspec.structs.replace(one(number), annotations={TAG_ANNOTATION: tag})
        for tag, number in tags.items()
    )
    return ImageIndex(schema_version=2, manifests=manifests)


def test_one_image_may_have_several_tags() -> None:
    assert choose(tagged(latest=1, v2=1), "amd64", what=WHAT).digest == digest(1)


@pytest.mark.parametrize(
    ("index", "said"),
    [(tagged(v2=2, v1=1), "several images (`v1`, `v2`)"), (listed(None, None), "several images")],
)
def test_a_layout_of_several_images_is_told_with_their_tags(index: ImageIndex, said: str) -> None:
    with pytest.raises(LockError) as caught:
        choose(index, "amd64", what=WHAT)
    assert caught.value.message == f"cannot use {WHAT}: it has {said}, and a base is one"
    assert caught.value.hint == (
        "copy the one that you want into a layout of its own, for example with "
        "`skopeo copy oci:LAYOUT:TAG oci:OTHER`"
    )


def manifest(*layers: Descriptor, config: Descriptor | None = None) -> ImageManifest:
    return ImageManifest(schema_version=2, config=config or one(99, CONFIG), layers=layers)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            manifest(config=one(1, "application/vnd.cncf.helm.config.v1+json")),
            "it is not an image, but `application/vnd.cncf.helm.config.v1+json`",
        ),
        (
            manifest(one(1, "application/vnd.oci.image.layer.v1.tar+encrypted")),
            "it has a layer of the unknown type `application/vnd.oci.image.layer.v1.tar+encrypted`",
        ),
        (manifest(*[one(1)] * 128), "it has 128 layers, and container engines take 127"),
    ],
)
def test_what_cannot_be_a_base(given: ImageManifest, message: str) -> None:
    with pytest.raises(LockError) as caught:
        check_manifest(given, what=WHAT)
    assert caught.value.message == f"cannot use {WHAT}: {message}"


def config(**fields: Any) -> bytes:
    ids = [digest(7)]
    whole = {"architecture": "amd64", "os": "linux", "rootfs": {"diff_ids": ids}, **fields}
    return json.dumps(whole).encode()


def test_layers_have_the_diff_ids_of_the_configuration() -> None:
    (layer,) = layers_of(manifest(one(1)), config(), "amd64", what=WHAT)
    assert (layer.digest, layer.diff_id, layer.media_type) == (digest(1), digest(7), LAYER)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (config(architecture="arm64", variant="v8"), "it is not there for linux/amd64"),
        (config(os="windows"), "it is not there for linux/amd64"),
        (
            config(rootfs={"diff_ids": []}),
            "it has 1 layers, and its configuration knows 0",
        ),
        (
            config(rootfs={"diff_ids": ["md5:1"]}),
            "it has 1 layers, and its configuration knows 1 that are not sha256 digests",
        ),
        (
            b"{}",
            "its configuration cannot be read: Object missing required field `architecture`",
        ),
        (b"[" * 100_000, None),
        (b"\xff", None),
    ],
)
def test_a_configuration_of_something_else(data: bytes, message: str | None) -> None:
    with pytest.raises(LockError) as caught:
        layers_of(manifest(one(1)), data, "amd64", what=WHAT)
    if message:
        assert caught.value.message == f"cannot use {WHAT}: {message}"


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("application/vnd.docker.image.rootfs.diff.tar.gzip", LAYER),
        ("application/vnd.docker.image.rootfs.diff.tar", LAYER.removesuffix("+gzip")),
        ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", LAYER),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", LAYER[:-4] + "zstd"),
        (LAYER, LAYER),
    ],
)
def test_layers_have_their_type_of_oci(theirs: str, ours: str) -> None:
    assert oci_type(theirs) == ours
