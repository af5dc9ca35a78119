"""What a base image has to be: for one platform, of layers that can be read. Pure parsing.

https://github.com/opencontainers/image-spec: manifest.md, image-index.md, config.md
"""

from collections.abc import Sequence

import msgspec

from osloom.base.digest import Digest, is_digest
from osloom.base.errors import LockError
from osloom.fetch.registry.descriptor import (
    TAG_ANNOTATION,
    Descriptor,
    ImageIndex,
    ImageManifest,
    Platform,
)
from osloom.fetch.said import printable
from osloom.model.lock import BaseLayer

MOST_LAYERS = 127
"""What engines stack: overlayfs takes no more."""
LARGEST_CONFIG = 4 << 20
"""Bytes; as of manifests."""

CONFIG = "application/vnd.oci.image.config.v1+json"
_CONFIGS = (
    CONFIG,
    "application/vnd.docker.container.image.v1+json",
)
_OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
_OCI_LAYERS = {
    prefix + suffix: _OCI_LAYER + suffix.replace(".", "+")
    for prefix, suffixes in {
        _OCI_LAYER: ("+gzip", "+zstd", ""),
        "application/vnd.oci.image.layer.nondistributable.v1.tar": ("+gzip", "+zstd", ""),
        "application/vnd.docker.image.rootfs.diff.tar": (".gzip", ".zstd", ""),
        "application/vnd.docker.image.rootfs.foreign.diff.tar": (".gzip", ""),
    }.items()
    for suffix in suffixes
}
_VARIANTS = {"amd64": ("", "v1"), "arm64": ("", "v8")}
"""Those that every machine of an architecture can run."""


class _RootFs(msgspec.Struct, frozen=True):
    diff_ids: tuple[Digest, ...]


class _Config(msgspec.Struct, frozen=True):
    architecture: str
    os: str
    rootfs: _RootFs
    variant: str = ""


def oci_type(media_type: str) -> str:
    """The OCI media type of a layer; Docker's and OCI's blobs are the same.

    An OCI manifest with layers of Docker's types would be neither the one nor the other, and
    engines refuse it. The type is no part of a layer's digest, so that the blob stays as it is.
    """
    return _OCI_LAYERS[media_type]


def choose(index: ImageIndex, architecture: str, *, what: str) -> Descriptor:
    """The manifest for Linux on `architecture`. Raises LockError with what there is instead."""
    listed = index.manifests
    for variant in _VARIANTS.get(architecture, ("",)):
        for one in listed:
            wanted = Platform(os="linux", architecture=architecture, variant=variant)
            if one.platform == wanted:
                return one
    unnamed = [one for one in listed if one.platform is None]
    if unnamed and len(unnamed) == len(listed):
        # What layouts have around an image, once for each of its tags; its configuration tells.
        if len({one.digest for one in unnamed}) == 1:
            return unnamed[0]
        raise _several(what, unnamed)
    raise _no_platform(what, architecture, [one.platform for one in listed if one.platform])


def _several(what: str, there: Sequence[Descriptor]) -> LockError:
    tags = [one.annotations.get(TAG_ANNOTATION) for one in there]
    named = ", ".join(sorted({f"`{printable(tag)}`" for tag in tags if tag})[:12])
    return LockError(
        f"cannot use {what}: it has several images{f' ({named})' if named else ''}, "
        "and a base is one",
        hint="copy the one that you want into a layout of its own, for example with "
        "`skopeo copy oci:LAYOUT:TAG oci:OTHER`",
    )


def _no_platform(what: str, architecture: str, there: Sequence[Platform]) -> LockError:
    # Attestations are listed as images for `unknown/unknown`.
    names = sorted({str(one) for one in there if one.os != "unknown"})
    return LockError(
        f"cannot use {what}: it is not there for linux/{architecture}",
        hint=f"it is there for {', '.join(names[:12]) or 'no platform at all'}: "
        "set `architecture`, or choose another base",
    )


def check_manifest(manifest: ImageManifest, *, what: str) -> None:
    """Raises LockError for what is no image, or none that can be a base."""
    config = manifest.config
    if config.media_type not in _CONFIGS or config.size > LARGEST_CONFIG:
        raise LockError(
            f"cannot use {what}: it is not an image, but `{config.media_type}`",
            hint="name the image itself, not what is attached to it",
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


def layers_of(
    manifest: ImageManifest, config: bytes, architecture: str, *, what: str
) -> tuple[BaseLayer, ...]:
    """The layers with their diff IDs. Raises LockError when `config` is not theirs."""
    try:
        said = msgspec.json.decode(config, type=_Config)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise LockError(
            f"cannot use {what}: its configuration cannot be read: {error}",
            hint="do not use this image: who made it has to mend it",
        ) from error
    if (said.os, said.architecture) != ("linux", architecture):
        there = Platform(os=said.os, architecture=said.architecture, variant=said.variant)
        raise _no_platform(what, architecture, [there])
    diff_ids = said.rootfs.diff_ids
    strange = "" if all(map(is_digest, diff_ids)) else " that are not sha256 digests"
    if len(diff_ids) != len(manifest.layers) or strange:
        raise LockError(
            f"cannot use {what}: it has {len(manifest.layers)} layers, "
            f"and its configuration knows {len(diff_ids)}{strange}",
            hint="do not use this image: who made it has to mend it",
        )
    return tuple(
        BaseLayer(digest=one.digest, size=one.size, media_type=one.media_type, diff_id=diff_id)
        for one, diff_id in zip(manifest.layers, diff_ids, strict=True)
    )
