"""The store: blobs, trees and results of steps under one directory.

    blobs/      file contents and tree manifests, by digest     (store.blobs)
    results/    what steps made, by key                         (store.results)
    roots/      directories of hard links to blobs, by tree     (store.roots)
    partial/    downloads that were cut off, to be resumed
    work/       what running steps use; what no one holds a lock on is rubbish
    locks/      one empty file for every key that is being worked on
    nix/        the root of the Nix that evaluates flakes, where the host has none: `nix/nix/store`

Everything in it may be deleted at any time without loss. Any number of processes may use it at
once: files appear by rename, a key is worked on under its lock (flock(2), so that a killed process
holds nothing), and removal waits for those who read.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from osloom.base.digest import Digest, from_hex, to_hex
from osloom.base.files import remove_tree
from osloom.model.sketch import likeness, sketch
from osloom.model.tree import Tree, decode, encode
from osloom.store.blobs import Blobs, store_error
from osloom.store.results import Results

_LAYOUT = "1"
_LARGE, _REMEMBERED = 1000, 4
"""Nodes of a tree that is worth to be remembered, and how many are."""
_SKETCH = "user.osloom.sketch"
"""The attribute of a root that has its tree's sketch."""
_LOOKED_AT = 32
"""Roots that are looked at for one that is like a tree."""
_ALIKE = 0.75
"""How much like it has to be."""


class Store:
    """See the module. Opening makes the directories and takes a share of the readers' lock.

    A process that ends with its parent opens it without a `share`: its parent has one, and when
    that is gone nothing holds the lock, however long the process takes to end. A copy of a process
    has the `trees` that its parent remembers.
    """

    def __init__(
        self, root: Path, *, share: bool = True, trees: Mapping[Digest, Tree] | None = None
    ) -> None:
        self.root = root
        self.temporary = root / "tmp"
        self.nix = root / "nix"
        try:
            self._make()
            self._lock = os.open(root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            if share:
                fcntl.flock(self._lock, fcntl.LOCK_SH)
        except OSError as error:
            raise store_error("use", root, error) from error
        self.blobs = Blobs(root / "blobs", self.temporary)
        self.trees: Mapping[Digest, Tree] = trees or {}
        self.results = Results(root / "results", self.blobs)

    def _make(self) -> None:
        if (self.root / "layout").exists():
            return
        for name in ("tmp", "blobs", "results", "roots", "partial", "work", "locks"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        for number in range(256):
            for name in ("blobs", "results"):
                (self.root / name / f"{number:02x}").mkdir(exist_ok=True)
        (self.root / "layout").write_text(_LAYOUT)

    def release(self) -> None:
        """Give up the share of the lock that keeps `prune` away."""
        fcntl.flock(self._lock, fcntl.LOCK_UN)

    def hold(self) -> None:
        fcntl.flock(self._lock, fcntl.LOCK_SH)

    def close(self) -> None:
        os.close(self._lock)

    def add_tree(self, tree: Tree) -> Digest:
        digest = self.blobs.add(encode(tree))
        self._remember(digest, tree)
        return digest

    def load_tree(self, digest: Digest) -> Tree:
        tree = self.trees.get(digest)
        if tree is None:
            tree = decode(self.blobs.read(digest))
            self._remember(digest, tree)
        return tree

    def _remember(self, digest: Digest, tree: Tree) -> None:
        """Of an image the next step, or a copy of this process, soon wants the same tree."""
        if len(tree) >= _LARGE:
            # One assignment: any thread sees the one or the other.
            kept = list(self.trees.items())[1 - _REMEMBERED :]
            self.trees = dict([*kept, (digest, tree)])

    @contextlib.contextmanager
    def working_directory(self) -> Iterator[Path]:
        """A directory that is gone after the block, and after a kill at the next prune."""
        try:
            path = Path(tempfile.mkdtemp(dir=self.root / "work"))
        except OSError as error:
            raise store_error("write to", self.root, error) from error
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(handle, fcntl.LOCK_SH)
        try:
            yield path
        finally:
            os.close(handle)
            remove_tree(path)

    @contextlib.contextmanager
    def locked(self, name: str) -> Iterator[None]:
        """One process, and one thread of it, at a time for each `name`."""
        path = self.root / "locks" / name.replace(":", "-").replace("/", "-")
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def partial(self, digest: Digest) -> Path:
        """Where an unfinished download of `digest` is kept."""
        return self.root / "partial" / to_hex(digest)

    def find_checkout(self, digest: Digest) -> Path | None:
        """The directory that `checkout` made of a tree, if it did."""
        place = self.root / "roots" / to_hex(digest)
        return place if place.exists() else None

    def find_alike(self, tree: Tree) -> Digest | None:
        """Of the roots that were made last the one that is most like `tree`, if one is."""
        with os.scandir(self.root / "roots") as entries:
            newest = sorted(entries, key=lambda one: -one.stat().st_ctime_ns)[:_LOOKED_AT]
        own = sketch(tree)
        found = []
        for one in newest:
            with contextlib.suppress(OSError):
                found.append((likeness(own, os.getxattr(one.path, _SKETCH)), one.name))
        most, name = max(found, default=(0.0, ""))
        return from_hex(name) if most >= _ALIKE else None

    def checkout(self, digest: Digest) -> Path:
        """A directory with the tree's files, as hard links to blobs; read-only by agreement.

        Owners, special modes, devices and xattrs are not in it: whoever needs them lays them
        over it (`engine.sandbox`).
        """
        from osloom.store.roots import make_root

        place = self.root / "roots" / to_hex(digest)
        if place.exists():
            return place
        with self.locked(f"root-{to_hex(digest)}"):
            if place.exists():
                return place
            scratch = Path(tempfile.mkdtemp(dir=self.root / "work"))
            try:
                tree = self.load_tree(digest)
                make_root(tree, scratch, self.blobs)
                # Where a file system has none of them, nothing is found by them.
                with contextlib.suppress(OSError):
                    os.setxattr(scratch, _SKETCH, sketch(tree))
                scratch.rename(place)
            except OSError as error:
                remove_tree(scratch)
                raise store_error("write to", self.root, error) from error
        return place

    def free_space(self) -> int:
        return shutil.disk_usage(self.root).free
