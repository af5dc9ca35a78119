"""Descriptors, manifests and indexes: the documents that a registry and a layout are made of.

https://github.com/opencontainers/image-spec: descriptor.md, manifest.md, image-index.md; and the
older https://distribution.github.io/distribution/spec/manifest-v2-2/, which registries still hold.
"""

from typing import TypeVar

import msgspec

from osloom.base.digest import Digest, digest_bytes, is_digest
from osloom.base.errors import FetchError

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"

MANIFESTS = (OCI_MANIFEST, DOCKER_MANIFEST)
INDEXES = (OCI_INDEX, DOCKER_LIST)

TAG_ANNOTATION = "org.opencontainers.image.ref.name"

LARGEST_MANIFEST = 4 << 20
"""Bytes; what registries have to take at least, distribution-spec, Pushing Manifests."""


_ABSENT = msgspec.Raw()


class Platform(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`linux/arm64/v8`: operating system, architecture, variant."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


class Descriptor(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """What something is, how large, and its digest."""

    media_type: str
    digest: Digest
    size: int
    platform: Platform | None = None
    annotations: dict[str, str] = {}


class ImageManifest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One image for one platform."""

    schema_version: int
    media_type: str = ""
    config: Descriptor
    layers: tuple[Descriptor, ...]
    annotations: dict[str, str] = {}


class ImageIndex(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Images for several platforms, or of a layout."""

    schema_version: int
    media_type: str = ""
    manifests: tuple[Descriptor, ...]


_Document = TypeVar("_Document", ImageManifest, ImageIndex)


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """A manifest or an index, with the very bytes that its digest is of."""

    data: bytes
    media_type: str
    digest: Digest

    @property
    def descriptor(self) -> Descriptor:
        return Descriptor(media_type=self.media_type, digest=self.digest, size=len(self.data))

    @property
    def is_index(self) -> bool:
        return self.media_type in INDEXES

    def image(self) -> ImageManifest:
        """What it says as a manifest. Raises FetchError when it is none."""
        return parse_manifest(self.data, self.digest)

    def index(self) -> ImageIndex:
        """What it says as an index. Raises FetchError when it is none."""
        return parse_index(self.data, self.digest)


def make_manifest(data: bytes, media_type: str) -> Manifest:
    """Raises FetchError when it is of no kind that osloom knows, or of two kinds at once."""
    digest = digest_bytes(data)
    if media_type not in MANIFESTS + INDEXES:
        raise FetchError(f"cannot use {digest}: `{media_type}` is not a kind of image")
    try:
        said = msgspec.json.decode(data, type=_Kind)
    except msgspec.DecodeError as error:
        raise FetchError(f"cannot read the manifest {digest}: {error}") from error
    # Taken for a manifest by one program and for an index by another: CVE-2021-41190.
    if said.media_type not in ("", media_type) or _ABSENT not in (said.manifests, said.layers):
        raise FetchError(f"cannot use {digest}: it does not say clearly what it is")
    return Manifest(data=data, media_type=media_type, digest=digest)


class _Kind(msgspec.Struct, frozen=True, rename="camel"):
    media_type: str = ""
    manifests: msgspec.Raw = _ABSENT
    layers: msgspec.Raw = _ABSENT


def parse_manifest(data: bytes, title: str) -> ImageManifest:
    """`title` is what errors call it."""
    manifest = _decode(data, ImageManifest, title)
    for one in (manifest.config, *manifest.layers):
        _check(one, title)
    return manifest


def parse_index(data: bytes, title: str) -> ImageIndex:
    index = _decode(data, ImageIndex, title)
    for one in index.manifests:
        _check(one, title)
        if one.size > LARGEST_MANIFEST:
            raise FetchError(f"cannot use {title}: a manifest of {one.size} bytes is too large")
    return index


def _decode(data: bytes, kind: type[_Document], title: str) -> _Document:
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.DecodeError as error:
        raise FetchError(f"cannot read the manifest {title}: {error}") from error


def _check(one: Descriptor, title: str) -> None:
    if not is_digest(one.digest):
        raise FetchError(f"cannot use {title}: `{one.digest[:100]}` is not a sha256 digest")
    if one.size < 0:
        raise FetchError(f"cannot use {title}: {one.digest} has the size {one.size}")


def matches(found: Platform, wanted: Platform) -> bool:
    """Any variant will do when none is wanted."""
    return (found.os, found.architecture) == (wanted.os, wanted.architecture) and (
        wanted.variant in ("", found.variant)
    )


def choose(index: ImageIndex, wanted: Platform) -> Descriptor | None:
    """The first manifest for a platform."""
    for one in index.manifests:
        if one.platform is not None and matches(one.platform, wanted):
            return one
    return None
