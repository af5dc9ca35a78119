"""Manifests, lists of platforms and configurations, as registries give them: pure parsing.

https://github.com/opencontainers/image-spec: manifest.md, image-index.md, config.md; and Docker's
own forms, https://distribution.github.io/distribution/spec/manifest-v2-2/.
"""

from typing import Any

import msgspec

from osloom.base.digest import Digest, is_digest
from osloom.base.errors import LockError
from osloom.model.lock import BaseLayer

MOST_LAYERS = 127
"""What engines stack: overlayfs takes no more."""

_INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_CONFIGS = (
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
)
_OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
_OCI_LAYERS = {
    prefix + suffix: _OCI_LAYER + suffix.replace(".", "+")
    for prefix, suffixes in {
        _OCI_LAYER: ("", "+gzip", "+zstd"),
        "application/vnd.oci.image.layer.nondistributable.v1.tar": ("", "+gzip", "+zstd"),
        "application/vnd.docker.image.rootfs.diff.tar": ("", ".gzip", ".zstd"),
        "application/vnd.docker.image.rootfs.foreign.diff.tar": ("", ".gzip"),
    }.items()
    for suffix in suffixes
}


class Descriptor(msgspec.Struct, frozen=True, rename="camel"):
    """descriptor.md, as far as it matters here."""

    media_type: str
    digest: Digest
    size: int
    platform: "Platform | None" = None


class Platform(msgspec.Struct, frozen=True):
    """What an image is for, in the words of Go."""

    architecture: str
    os: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


class _Index(msgspec.Struct, frozen=True):
    manifests: tuple[Descriptor, ...]


class _Manifest(msgspec.Struct, frozen=True):
    config: Descriptor
    layers: tuple[Descriptor, ...]


class _RootFs(msgspec.Struct, frozen=True):
    diff_ids: tuple[Digest, ...]


class Config(msgspec.Struct, frozen=True):
    """What a configuration says that the lock has to know."""

    architecture: str
    os: str
    rootfs: _RootFs
    variant: str = ""


def oci_type(media_type: str) -> str:
    """The OCI media type of a layer; Docker's and OCI's blobs are the same.

    An OCI manifest with layers of Docker's types would be neither the one nor the other, and
    engines refuse it. That the type is in no digest of a layer lets the blob be as it is.
    """
    return _OCI_LAYERS[media_type]


def is_index(media_type: str) -> bool:
    return media_type in _INDEXES


def choose(data: bytes, architecture: str, *, what: str) -> Descriptor:
    """The manifest for Linux on `architecture`, of the list `data`.

    Raises LockError with the platforms there are.
    """
    listed = _decode(data, _Index, what).manifests
    fitting = [one for one in listed if one.platform and _fits(one.platform, architecture)]
    if not fitting and len(listed) == 1 and listed[0].platform is None:
        # What some tools write for one image alone; its configuration tells.
        fitting = list(listed)
    if not fitting:
        there = [str(one.platform) for one in listed if one.platform]
        raise no_platform(what, architecture, there)
    # The plainest: `amd64` before `amd64/v3`, which not every machine can run.
    chosen = min(fitting, key=lambda one: one.platform.variant if one.platform else "")
    if chosen.media_type not in _MANIFESTS:
        raise LockError(f"cannot use {what}: `{chosen.media_type}` is not an image")
    return checked(chosen, what)


def _fits(platform: Platform, architecture: str) -> bool:
    variants = {"arm64": ("", "v8"), "amd64": ("", "v1", "v2", "v3")}
    return (
        platform.os == "linux"
        and platform.architecture == architecture
        and platform.variant in variants.get(architecture, ("",))
    )


def no_platform(what: str, architecture: str, there: list[str]) -> LockError:
    return LockError(
        f"cannot use {what}: it is not there for linux/{architecture}",
        hint=f"it is there for {', '.join(sorted(set(there))[:12]) or 'no platform at all'}: "
        "set `architecture`, or choose another base",
    )


def parse_manifest(data: bytes, media_type: str, *, what: str) -> tuple[Descriptor, ...]:
    """The configuration's descriptor, then those of the layers, lowest first. Raises LockError."""
    if media_type not in _MANIFESTS:
        old = " of Docker's first format" if "manifest.v1" in media_type else ""
        raise LockError(
            f"cannot use {what}: a manifest{old} of type `{media_type}` is not an image",
            hint="push the image anew with a tool of today",
        )
    manifest = _decode(data, _Manifest, what)
    if manifest.config.media_type not in _CONFIGS:
        raise LockError(
            f"cannot use {what}: it holds `{manifest.config.media_type}`, and is not an image"
        )
    if len(manifest.layers) > MOST_LAYERS:
        raise LockError(
            f"cannot use {what}: it has {len(manifest.layers)} layers, "
            f"and container engines take {MOST_LAYERS}",
            hint="choose another base, or have its layers squashed",
        )
    for layer in manifest.layers:
        if layer.media_type not in _OCI_LAYERS:
            raise LockError(
                f"cannot use {what}: it has a layer of the unknown type `{layer.media_type}`",
                hint=f"known types: {', '.join(list(_OCI_LAYERS)[:3])}",
            )
    return tuple(checked(one, what) for one in (manifest.config, *manifest.layers))


def checked(one: Descriptor, what: str) -> Descriptor:
    if not is_digest(one.digest) or one.size < 0:
        raise LockError(
            f"cannot use {what}: it names a part of {one.size} bytes as `{one.digest}`",
            hint="digests have to be `sha256:` and 64 hexadecimal digits",
        )
    return one


def parse_layers(
    layers: tuple[Descriptor, ...], config: bytes, architecture: str, *, what: str
) -> tuple[BaseLayer, ...]:
    """The layers with their diff IDs. Raises LockError when `config` is not theirs."""
    said = _decode(config, Config, what)
    platform = Platform(said.architecture, said.os, said.variant)
    if (platform.os, platform.architecture) != ("linux", architecture):
        raise no_platform(what, architecture, [str(platform)])
    diff_ids = said.rootfs.diff_ids
    if len(diff_ids) != len(layers) or not all(is_digest(one) for one in diff_ids):
        raise LockError(
            f"cannot use {what}: it has {len(layers)} layers, "
            f"and its configuration knows {len(diff_ids)}",
            hint="do not use this image: who made it has to mend it",
        )
    return tuple(
        BaseLayer(digest=one.digest, size=one.size, media_type=one.media_type, diff_id=diff_id)
        for one, diff_id in zip(layers, diff_ids, strict=True)
    )


def _decode(data: bytes, kind: Any, what: str) -> Any:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise LockError(
            f"cannot use {what}: {error}", hint="the registry holds something else than an image"
        ) from error
