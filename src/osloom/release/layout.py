"""OCI image layouts on this disk: read into descriptors, every manifest verified.

https://github.com/opencontainers/image-spec: image-layout.md
"""

import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from osloom.base.digest import Digest, digest_bytes, to_hex
from osloom.base.errors import Error, FetchError
from osloom.fetch.registry.descriptor import (
    LARGEST_MANIFEST,
    OCI_INDEX,
    TAG_ANNOTATION,
    Descriptor,
    Manifest,
    Platform,
    make_manifest,
    parse_index,
)

_DEPTH = 4
"""Indexes in indexes; more is no image."""

Read = Callable[[Descriptor], Manifest]


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a manifest or an index names."""

    manifests: tuple[Manifest, ...]
    """What is named comes before what names it; the last is the root."""
    blobs: tuple[Descriptor, ...]
    """Configurations and layers, each once."""

    @property
    def root(self) -> Manifest:
        return self.manifests[-1]

    @property
    def images(self) -> tuple[Manifest, ...]:
        return tuple(one for one in self.manifests if not one.is_index)


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """A layout that holds one image, for one platform or several."""

    directory: Path
    tag: str | None
    """Its name in the index, when it has one."""
    content: Content
    index: bytes
    """Its index.json."""

    def path(self, digest: Digest) -> Path:
        return blob_path(self.directory, digest)


def blob_path(directory: Path, digest: Digest) -> Path:
    return directory / "blobs/sha256" / to_hex(digest)


def follow(root: Manifest, read: Read) -> Content:
    """Everything below `root`; `read` gives a manifest. Raises FetchError for what is no image."""
    manifests: dict[Digest, Manifest] = {}
    blobs: dict[Digest, Descriptor] = {}
    _follow(root, read, manifests, blobs, _DEPTH)
    return Content(manifests=tuple(manifests.values()), blobs=tuple(blobs.values()))


def _follow(
    one: Manifest,
    read: Read,
    manifests: dict[Digest, Manifest],
    blobs: dict[Digest, Descriptor],
    depth: int,
) -> None:
    if depth == 0:
        raise FetchError(f"cannot use {one.digest}: its indexes name indexes without end")
    if one.is_index:
        for child in one.index().manifests:
            if child.digest not in manifests:
                _follow(read(child), read, manifests, blobs, depth - 1)
    else:
        image = one.image()
        for blob in (image.config, *image.layers):
            known = blobs.setdefault(blob.digest, blob)
            if known.size != blob.size:
                raise FetchError(f"cannot use {one.digest}: {blob.digest} has two sizes in it")
    manifests.setdefault(one.digest, one)


def load_layout(directory: Path) -> Layout:
    """The image in a layout; an index with several manifests is one image for as many platforms.

    Raises Error when it is no layout, or not whole: sizes are compared, contents only of manifests.
    """
    data = _read(directory, directory / "index.json", LARGEST_MANIFEST)
    entries = parse_index(data, os.fspath(directory / "index.json")).manifests
    tags = {one.annotations[TAG_ANNOTATION] for one in entries if TAG_ANNOTATION in one.annotations}
    if not entries or len(tags) > 1:
        raise Error(
            f"cannot use the layout {directory}: it holds {len(tags) or 'no'} images",
            hint="a layout of one image is needed",
        )
    is_plain = len(entries) == 1
    root = _manifest(directory, entries[0]) if is_plain else make_manifest(data, OCI_INDEX)
    content = follow(root, lambda one: _manifest(directory, one))
    for blob in content.blobs:
        _check_size(directory, blob)
    return Layout(directory=directory, tag=next(iter(tags), None), content=content, index=data)


def _manifest(directory: Path, one: Descriptor) -> Manifest:
    data = _read(directory, blob_path(directory, one.digest), one.size)
    if digest_bytes(data) != one.digest:
        raise _damaged(directory, one)
    return make_manifest(data, one.media_type)


def _read(directory: Path, path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(limit)
    except OSError as error:
        raise Error(
            f"cannot read the layout {directory}: {error.strerror}: {path.name}",
            hint="build the image again",
        ) from error


def _check_size(directory: Path, blob: Descriptor) -> None:
    path = blob_path(directory, blob.digest)
    if not path.is_file() or path.stat().st_size != blob.size:
        raise _damaged(directory, blob)


def _damaged(directory: Path, one: Descriptor) -> Error:
    return Error(
        f"cannot use the layout {directory}: {one.digest} is not whole",
        hint="remove the directory and build the image again",
    )


def for_platform(content: Content, architecture: str) -> Manifest | None:
    """The one image, or that of several which is for an architecture of Linux."""
    if len(content.images) == 1:
        return content.images[0]
    by_digest = {one.digest: one for one in content.images}
    for index in content.manifests:
        for one in index.index().manifests if index.is_index else ():
            wanted = one.platform and (one.platform.os, one.platform.architecture)
            if wanted == ("linux", architecture) and one.digest in by_digest:
                return by_digest[one.digest]
    return None


def index_json(root: Manifest, tag: str | None, platform: Platform | None) -> bytes:
    """The index of a layout with one image; `platform` is that of a manifest."""
    entry = msgspec.structs.replace(
        root.descriptor,
        annotations={TAG_ANNOTATION: tag} if tag else {},
        platform=platform,
    )
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]}
    return msgspec.json.encode(index, order="sorted")


LAYOUT_FILE = b'{"imageLayoutVersion":"1.0.0"}'
