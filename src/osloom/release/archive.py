"""Layouts as single files: docker-archive for `docker load`, OCI archive for the others.

docker-archive is what `docker save` wrote before it knew OCI, and what everything reads: layers
without compression, named by their diff IDs; `manifest.json` lists images and their names. Both
are functions of the layout alone.
https://github.com/moby/docker-image-spec: v1.2.md, Combined Image JSON + Filesystem Changeset Format
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from osloom.base.digest import Digest, digest_bytes, from_hex, to_hex
from osloom.base.errors import Error
from osloom.fetch.registry.descriptor import Descriptor
from osloom.model.tar import write_tar
from osloom.model.tree import Node, Tree, with_parents
from osloom.release.layout import LAYOUT_FILE, Layout, blob_path, for_platform

_READ = 1 << 20


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """A layout and the names it gets where it is loaded: `app:7`."""

    layout: Layout
    names: tuple[str, ...]


class _RootFs(msgspec.Struct, frozen=True):
    diff_ids: tuple[str, ...]


class _Config(msgspec.Struct, frozen=True):
    rootfs: _RootFs


def docker_archive(images: Sequence[Named], architecture: str) -> Iterator[bytes]:
    """One archive with all images; of those for several platforms, the one for `architecture`.

    Raises Error when there is none, or when a layer is not what its configuration says.
    """
    nodes: dict[str, Node] = {}
    layers: dict[Digest, tuple[Path, str]] = {}
    texts: dict[Digest, bytes] = {}
    entries = []
    for one in images:
        manifest = for_platform(one.layout.content, architecture)
        if manifest is None:
            raise Error(f"cannot load {one.layout.directory}: it holds no image for {architecture}")
        image = manifest.image()
        config = one.layout.path(image.config.digest).read_bytes()
        texts[image.config.digest] = config
        names = []
        for layer, diff_id in zip(image.layers, _diff_ids(config, one.layout), strict=True):
            path = one.layout.path(layer.digest)
            if diff_id not in layers:
                layers[diff_id] = (path, layer.media_type)
                name = f"{to_hex(diff_id)}.tar"
                nodes[name] = _file(diff_id, _measure(path, layer, diff_id))
            names.append(f"{to_hex(diff_id)}.tar")
        config_name = f"{to_hex(image.config.digest)}.json"
        nodes[config_name] = _file(image.config.digest, len(config))
        entries.append({"Config": config_name, "RepoTags": list(one.names), "Layers": names})
    listing = msgspec.json.encode(entries, order="sorted")
    texts[digest_bytes(listing)] = listing
    nodes["manifest.json"] = _file(digest_bytes(listing), len(listing))

    def read(digest: Digest) -> Iterable[bytes]:
        return (texts[digest],) if digest in texts else _unpacked(*layers[digest])

    yield from write_tar(Tree(nodes), read)


def oci_archive(layout: Layout) -> Iterator[bytes]:
    """The layout as it is, its files in order."""
    content = layout.content
    nodes: dict[str, Node] = {}
    texts = {one.digest: one.data for one in content.manifests}
    for blob in content.blobs:
        nodes[f"blobs/sha256/{to_hex(blob.digest)}"] = _file(blob.digest, blob.size)
    for one in content.manifests:
        nodes[f"blobs/sha256/{to_hex(one.digest)}"] = _file(one.digest, len(one.data))
    for path, data in (
        ("index.json", layout.index),
        ("oci-layout", LAYOUT_FILE),
    ):
        texts[digest_bytes(data)] = data
        nodes[path] = _file(digest_bytes(data), len(data))

    def read(digest: Digest) -> Iterable[bytes]:
        return (texts[digest],) if digest in texts else _chunks(blob_path(layout.directory, digest))

    yield from write_tar(with_parents(nodes, mtime=0), read)


def _file(digest: Digest, size: int) -> Node:
    return Node("file", 0o644, size=size, digest=digest)


def _diff_ids(config: bytes, layout: Layout) -> tuple[Digest, ...]:
    try:
        return tuple(
            Digest(one) for one in msgspec.json.decode(config, type=_Config).rootfs.diff_ids
        )
    except msgspec.DecodeError as error:
        raise Error(
            f"cannot load {layout.directory}: its configuration is wrong: {error}"
        ) from error


def _measure(path: Path, layer: Descriptor, diff_id: Digest) -> int:
    """Bytes of the layer without its compression; tar has to know them before."""
    found = hashlib.sha256()
    size = 0
    for chunk in _unpacked(path, layer.media_type):
        found.update(chunk)
        size += len(chunk)
    if from_hex(found.hexdigest()) != diff_id:
        raise Error(
            f"cannot load {os.fspath(path)}: its content is not {diff_id}",
            hint="remove the layout and build the image again",
        )
    return size


def _unpacked(path: Path, media_type: str) -> Iterator[bytes]:
    if media_type.endswith("zstd"):
        return _unzstd(path)
    return _gunzip(path) if media_type.endswith("gzip") else _chunks(path)


def _unzstd(path: Path) -> Iterator[bytes]:
    import zstandard

    try:
        with path.open("rb") as file:
            reader = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
            while chunk := reader.read(_READ):
                yield chunk
    except (OSError, zstandard.ZstdError) as error:
        raise Error(f"cannot read the layer {path}: {error}") from error


def _gunzip(path: Path) -> Iterator[bytes]:
    import gzip
    import zlib

    try:
        with gzip.open(path) as file:
            while chunk := file.read(_READ):
                yield chunk
    except (OSError, zlib.error, EOFError) as error:
        raise Error(f"cannot read the layer {path}: {error}") from error


def _chunks(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while chunk := file.read(_READ):
                yield chunk
    except OSError as error:
        raise Error(f"cannot read {path}: {error.strerror}") from error
