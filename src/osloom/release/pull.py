"""An image of a registry as an OCI layout: verified, resumable, whole or not at all."""

import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from osloom.base.digest import Digest
from osloom.base.errors import Error, FetchError, UsageError
from osloom.base.files import copy_sparse, remove_tree
from osloom.base.progress import Reporter, silent
from osloom.fetch.registry.descriptor import LARGEST_MANIFEST, Manifest, Platform, choose, matches
from osloom.fetch.registry.reference import DEFAULT_TAG, Reference
from osloom.fetch.registry.registry import Registry
from osloom.release.layout import (
    LAYOUT_FILE,
    Content,
    blob_path,
    follow,
    index_json,
)
from osloom.store.store import Store

_WORKERS = 6


class Pulled(msgspec.Struct, frozen=True, kw_only=True):
    """What came, and where it is."""

    reference: str
    digest: Digest
    """Of the manifest or index."""
    path: str
    platforms: tuple[str, ...]
    """As the index has them; empty when there is none."""
    size: int
    """Bytes of blobs."""


def pull(
    registry: Registry,
    store: Store,
    reference: Reference,
    target: Path,
    *,
    platform: Platform | None,
    report: Reporter,
) -> Pulled:
    """Bring an image to the directory `target`, which is replaced when it is a layout.

    All platforms of it, byte for byte, or the one that is wanted. Blobs go through the store, which
    keeps what a pull that was cut off has brought. Raises FetchError, and then `target` is as it
    was.
    """
    check_target(target)
    repository = reference.repository
    root = registry.manifest(repository, reference.wanted)
    if platform is not None:
        root = _narrow(registry, store, reference, root, platform)
    content = follow(root, lambda one: registry.manifest(repository, one.digest))
    with ThreadPoolExecutor(max_workers=_WORKERS) as pool:
        futures = [
            pool.submit(registry.fetch_blob, store, repository, blob, report)
            for blob in content.blobs
        ]
        try:
            for future in futures:
                future.result()
        except BaseException:
            registry.client.stop()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    tag = reference.tag or (DEFAULT_TAG if reference.digest is None else None)
    index = index_json(root, tag, _own_platform(store, root, reference))
    _put(store, content, index, target)
    return Pulled(
        reference=str(reference),
        digest=root.digest,
        path=str(target),
        platforms=_platforms(content),
        size=sum(blob.size for blob in content.blobs),
    )


def parse_platform(text: str) -> Platform:
    """`linux/arm64` or `linux/arm/v7`. Raises UsageError."""
    parts = text.split("/")
    if len(parts) not in (2, 3) or not all(parts):
        raise UsageError(f"cannot read the platform `{text}`", hint="write it as `linux/arm64`")
    return Platform(os=parts[0], architecture=parts[1], variant="".join(parts[2:]))


def check_target(target: Path) -> None:
    """Raises UsageError when something is there that must not be replaced."""
    if target.is_dir() and not any(target.iterdir()):
        return
    if target.exists() and not (target / "oci-layout").is_file():
        raise UsageError(
            f"cannot write to {target}: it is there and is no OCI layout",
            hint="choose another directory with `--to`",
        )


def _narrow(
    registry: Registry, store: Store, reference: Reference, root: Manifest, wanted: Platform
) -> Manifest:
    """The manifest for one platform. Raises FetchError with those that there are."""
    if root.is_index:
        index = root.index()
        found = choose(index, wanted)
        if found is not None:
            return registry.manifest(reference.repository, found.digest)
        there = [str(one.platform) for one in index.manifests if one.platform]
    else:
        registry.fetch_blob(store, reference.repository, root.image().config, silent)
        own = _own_platform(store, root, reference)
        if own is not None and matches(own, wanted):
            return root
        there = [str(own)] if own is not None else []
    raise FetchError(
        f"cannot find {reference} for {wanted}",
        hint=f"there {'is' if len(there) == 1 else 'are'}: {', '.join(there)}" if there else None,
    )


def _own_platform(store: Store, root: Manifest, reference: Reference) -> Platform | None:
    """What the configuration of an image says; it is in the store. None for an index."""
    if root.is_index:
        return None
    config = root.image().config
    if config.size > LARGEST_MANIFEST:
        raise FetchError(f"cannot use {reference}: its configuration is too large")
    try:
        return msgspec.json.decode(store.blobs.read(config.digest), type=Platform)
    except msgspec.ValidationError:
        return None  # An artifact that is no image, and has none.
    except msgspec.DecodeError as error:
        raise FetchError(f"cannot read the configuration of {reference}: {error}") from error


def _platforms(content: Content) -> tuple[str, ...]:
    if not content.root.is_index:
        return ()
    return tuple(str(one.platform) for one in content.root.index().manifests if one.platform)


def _put(store: Store, content: Content, index: bytes, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        try:
            layout = scratch / "layout"
            _write(store, content, index, layout)
            # Not at one stroke: for a moment there is none. Never half of one.
            if target.exists():
                target.rename(scratch / "old")
            layout.rename(target)
        finally:
            remove_tree(scratch)
    except OSError as error:
        raise Error(f"cannot write {target}: {error.strerror}") from error


def _write(store: Store, content: Content, index: bytes, layout: Path) -> None:
    (layout / "blobs/sha256").mkdir(parents=True)
    for blob in content.blobs:
        copy_sparse(store.blobs.path(blob.digest), blob_path(layout, blob.digest))
    files: Sequence[tuple[Path, bytes]] = (
        *((blob_path(layout, one.digest), one.data) for one in content.manifests),
        (layout / "index.json", index),
        (layout / "oci-layout", LAYOUT_FILE),
    )
    for path, data in files:
        path.write_bytes(data)
