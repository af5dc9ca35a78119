"""What the store holds, what of it is still wanted, and whether it is whole."""

import contextlib
import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from osloom.base.digest import Digest, as_part, from_hex
from osloom.base.errors import StoreError
from osloom.base.files import remove_tree, sha256_sparse
from osloom.model.tree import MAGIC, decode
from osloom.store.store import Store

_DAY = 86400


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes on disk, hard links counted once."""

    blobs: int
    blob_bytes: int
    results: int
    roots: int
    partial_bytes: int
    nix_bytes: int
    """Of the Nix that evaluates flakes; see `Store.nix`."""


class Pruned(msgspec.Struct, frozen=True, kw_only=True):
    results: int
    blobs: int
    freed: int
    """Bytes."""


def usage(store: Store) -> Usage:
    sizes = [_disk_size(path) for path, _ in _blob_files(store)]
    return Usage(
        blobs=len(sizes),
        blob_bytes=sum(sizes),
        results=sum(1 for _ in store.results.all()),
        roots=sum(1 for _ in (store.root / "roots").iterdir()),
        partial_bytes=sum(_disk_size(path) for path in (store.root / "partial").iterdir()),
        nix_bytes=_bytes_below(store.nix),
    )


def prune(store: Store, *, days: float) -> Pruned:
    """Remove results unused for `days`, and every blob that no other result names.

    Waits for no one: raises StoreError while another osloom uses the store.
    """
    with _alone(store):
        limit = time.time() - days * _DAY  # noqa: TID251  (ages of files, nothing of a build)
        gone = 0
        wanted: set[Digest] = set()
        for path, result in store.results.all():
            if path.stat().st_mtime < limit:
                path.unlink()
                gone += 1
            else:
                wanted.update(result.outputs.values())
        _follow_trees(store, wanted)
        blobs, freed = _sweep(store, wanted)
        _clear(store, wanted)
        if store.nix.exists() and store.nix.stat().st_mtime < limit:
            freed += _bytes_below(store.nix)
            remove_tree(store.nix)
        return Pruned(results=gone, blobs=blobs, freed=freed)


def verify(store: Store) -> list[Digest]:
    """Read every blob; damaged ones are removed and named."""
    damaged = []
    files = [(path, digest, as_part(digest)) for path, digest in _blob_files(store)]
    # Parts last: they are what the whole says, when that is what it should be.
    for path, digest, part in sorted(files, key=lambda one: one[2] is not None):
        found = from_hex(sha256_sparse(path))
        if found != (digest if part is None else _digest_of(store, digest)):
            path.unlink()
            damaged.append(digest)
    return sorted(set(damaged))


def _digest_of(store: Store, part: Digest) -> Digest | None:
    """Of the bytes of a part themselves; None when its whole is not there."""
    found = hashlib.sha256()
    try:
        for chunk in store.blobs.chunks(part):
            found.update(chunk)
    except StoreError:
        return None
    return from_hex(found.hexdigest())


@contextlib.contextmanager
def _alone(store: Store) -> Iterator[None]:
    handle = os.open(store.root / "lock", os.O_RDWR | os.O_CLOEXEC)
    try:
        # This process's own share of the lock is given up for the time.
        store.release()
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise StoreError(
            f"cannot prune the store at {store.root}: another osloom is using it",
            hint="wait until it is done",
        ) from error
    finally:
        os.close(handle)
        store.hold()


def _blob_files(store: Store) -> Iterator[tuple[Path, Digest]]:
    for directory in sorted((store.root / "blobs").iterdir()):
        for path in sorted(directory.iterdir()):
            name = path.name.removesuffix(".x")
            if "." not in name:
                yield path, from_hex(directory.name + name)


def _follow_trees(store: Store, wanted: set[Digest]) -> None:
    for digest in list(wanted):
        path = store.blobs.find(digest)
        if path is None:
            continue
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                continue
        wanted.update(node.digest for node in decode(path.read_bytes()).values() if node.digest)
    wanted.update({part.whole for part in map(as_part, wanted) if part is not None})


def _sweep(store: Store, wanted: set[Digest]) -> tuple[int, int]:
    count = freed = 0
    for path, digest in _blob_files(store):
        # A part that no root has a link to can be had from its whole again.
        spare = as_part(digest) is not None and path.stat().st_nlink == 1
        if digest not in wanted or spare:
            freed += _disk_size(path)
            path.unlink()
            count += 1
    return count, freed


def _clear(store: Store, wanted: set[Digest]) -> None:
    """What killed processes left behind, and roots of trees that are gone."""
    for path in (store.root / "blobs").glob("??/*.*"):
        if path.suffix != ".x":
            path.unlink()
    for name in ("work", "tmp", "locks"):
        for path in (store.root / name).iterdir():
            remove_tree(path) if path.is_dir() else path.unlink()
    for path in (store.root / "roots").iterdir():
        if from_hex(path.name) not in wanted:
            remove_tree(path)


def _bytes_below(directory: Path) -> int:
    found = {}
    for place, _, names in os.walk(directory):
        for name in names:
            status = (Path(place) / name).lstat()
            found[status.st_ino] = status.st_blocks * 512
    return sum(found.values())


def _disk_size(path: Path) -> int:
    return path.stat().st_blocks * 512
