"""Put outputs where the user looks for them, whole or not at all, and not twice.

The output directory remembers what it holds (`.osloom.json`): a file that still has the size and
time it was written with is not written again. Blobs of a layout are links to the store's where
that is on the same file system: what images share is on the disk once.
"""

import contextlib
import errno
import os
from pathlib import Path

import msgspec

from osloom.assemble.request import Product
from osloom.base.digest import Digest, to_hex
from osloom.base.errors import Error
from osloom.base.files import copy_sparse, remove_tree, write_atomic
from osloom.model.artifact import Artifact
from osloom.store.results import Result
from osloom.store.store import Store

_RECORD = ".osloom.json"


class _Written(msgspec.Struct, frozen=True):
    digest: Digest
    size: int
    mtime: int
    """Nanoseconds."""


class Publisher:
    """See the module. `finish` writes down what is there."""

    def __init__(self, store: Store, directory: Path) -> None:
        self._store = store
        self._directory = directory
        self._records = self._load()

    def publish(self, image: str, format_name: str, product: Product, result: Result) -> Artifact:
        digest = result.outputs[product.output.name]
        path = f"{image}/{product.path}"
        try:
            if product.kind == "file":
                size = self._put(path, digest)
            else:
                size = self._put_directory(path, digest)
        except OSError as error:
            raise _unwritable(self._directory / path, error) from error
        named = result.facts.get("digest")
        notes = str(result.facts.get("notes", ""))
        return Artifact(
            image=image,
            format=format_name,
            path=path,
            size=size,
            digest=Digest(named) if isinstance(named, str) else digest,
            notes=tuple(notes.splitlines()),
        )

    def finish(self) -> None:
        text = msgspec.json.encode(dict(sorted(self._records.items())))
        with contextlib.suppress(OSError):
            write_atomic(self._directory / _RECORD, text, sync=False)

    def _put(self, path: str, digest: Digest, *, link: bool = False) -> int:
        target = self._directory / path
        if not self._is_current(path, digest):
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.is_dir() and not target.is_symlink():
                remove_tree(target)
            blob = self._store.blobs.path(digest)
            if not (link and _linked(blob, target)):
                copy_sparse(blob, target)
            self._remember(path, digest)
        return target.stat().st_size

    def _put_directory(self, path: str, digest: Digest) -> int:
        """A tree of files; what is there and not in the tree goes last, so that a layout that is
        being read keeps what its index names."""
        tree = self._store.load_tree(digest)
        root = self._directory / path
        root.mkdir(parents=True, exist_ok=True)
        size = 0
        # The index names the rest: in path order `blobs` comes before `index.json`.
        for name, node in tree.items():
            if node.kind == "dir":
                (root / name).mkdir(exist_ok=True)
            else:
                assert node.digest is not None
                # What is named for its content is not edited, and is in other layouts too.
                link = name.endswith(to_hex(node.digest))
                size += self._put(f"{path}/{name}", node.digest, link=link)
        for directory, _, files in os.walk(root):
            for file in files:
                extra = Path(directory, file)
                if extra.relative_to(root).as_posix() not in tree:
                    extra.unlink()
        return size

    def _is_current(self, path: str, digest: Digest) -> bool:
        record = self._records.get(path)
        if record is None or record.digest != digest:
            return False
        try:
            info = os.lstat(self._directory / path)
        except OSError:
            return False
        return (info.st_size, info.st_mtime_ns) == (record.size, record.mtime)

    def _remember(self, path: str, digest: Digest) -> None:
        info = os.lstat(self._directory / path)
        self._records[path] = _Written(digest, info.st_size, info.st_mtime_ns)

    def _load(self) -> dict[str, _Written]:
        try:
            data = (self._directory / _RECORD).read_bytes()
            return msgspec.json.decode(data, type=dict[str, _Written])
        except (OSError, msgspec.DecodeError):
            return {}


def _unwritable(path: Path, error: OSError) -> Error:
    """What stands in the way of writing `path`, and how to get by."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = "free some space or choose another place with `--output`"
        return Error(f"cannot write {path}: {error.strerror}", hint=hint)
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        wanted = Path(error.filename or path)
        for place in (wanted, *wanted.parents):
            if (place.exists() or place.is_symlink()) and not place.is_dir():
                return Error(
                    f"cannot write {path}: {place} is not a directory",
                    hint="move it away, or name a directory with `--output`",
                )
    return Error(
        f"cannot write {path}: {error.strerror}", hint="choose another place with `--output`"
    )


def _linked(blob: Path, target: Path) -> bool:
    """Make `target` the very file of the store; not where that is on another file system."""
    made = target.with_name(f".{target.name}.link")
    try:
        made.unlink(missing_ok=True)
        made.hardlink_to(blob)
        made.replace(target)
    except OSError:
        return False
    # rename(2) does nothing when both are one file already.
    made.unlink(missing_ok=True)
    return True
