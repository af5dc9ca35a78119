"""How fast NARs are packed from the store and unpacked into it, by one core.

Unpacking gives every file its blob and takes two digests of what comes: the NAR's and the blobs'.
What is counted is processor time: what else this machine does is not what is measured.
Run alone: `PYTHONPATH=src:bench python bench/nar.py`.
"""

import argparse
import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from measure import Measured, spread, timed
from peers import clean

from osloom.base.digest import from_hex
from osloom.model.nar import write_nar
from osloom.model.tree import Node, Tree
from osloom.sources.nix.nar import read_nar
from osloom.store.staged import staged
from osloom.store.store import Store

NAME = "00bgd045z0d4icpbc2yyz4gx48ak44la-bench"
ROOT = f"nix/store/{NAME}"
LARGE = 512 << 20
"""Bytes of the one large file."""
SMALL = 20_000
"""Files of 4 KiB on average, a hundred in each directory."""


class Nar:
    """A tree in a store, its NAR in a file, and how long both directions take."""

    def __init__(self, place: Path, sizes: list[int]) -> None:
        self.place = place
        clean(place)
        self.store = Store(place / "store")
        self.tree = _tree(self.store, sizes)
        self.file = place / "nar"
        with self.file.open("wb") as file:
            for piece in write_nar(self.tree, ROOT, self.store.blobs.chunks):
                file.write(piece)
        self.size = self.file.stat().st_size
        with self.file.open("rb") as file:
            self.digest = from_hex(hashlib.file_digest(file, "sha256").hexdigest())

    def pack(self) -> None:
        found = hashlib.sha256()
        for piece in write_nar(self.tree, ROOT, self.store.blobs.chunks):
            found.update(piece)
        assert from_hex(found.hexdigest()) == self.digest

    def unpack(self, target: Store) -> None:
        with self.file.open("rb", buffering=0) as file, staged(target.blobs) as blobs:
            found = read_nar(file, blobs, NAME, limit=self.size)  # type: ignore[arg-type]
            assert found.nar_hash == self.digest
        target.add_tree(found.tree)

    def packing(self) -> float:
        """Seconds of processor time."""
        used = Used(self.pack)
        timed(used, self.place / "store")
        return used.seconds

    def unpacking(self) -> float:
        """Seconds of processor time."""
        target = Store(Path(tempfile.mkdtemp(dir=self.place)))
        used = Used(lambda: self.unpack(target))
        timed(used)
        target.close()
        # ext4 looks the harder for new inodes the more it has just freed: see measure.copied.
        if len(self.tree) < 1000:
            clean(target.root)
        return used.seconds

    def close(self) -> None:
        self.store.close()
        clean(self.place)


class Used:
    """Runs something, and knows what processor time it took."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._work = work
        self.seconds = 0.0

    def __call__(self) -> None:
        start = time.process_time()
        self._work()
        self.seconds = time.process_time() - start


def _tree(store: Store, sizes: list[int]) -> Tree:
    nodes = {ROOT: Node("dir", 0o555, mtime=1)}
    noise = os.urandom(1 << 20)
    for number, size in enumerate(sizes):
        directory = f"{ROOT}/{number // 100:03}"
        nodes[directory] = Node("dir", 0o555, mtime=1)
        digest = store.blobs.add_chunks(_content(number, size, noise))
        nodes[f"{directory}/{number:05}"] = Node("file", 0o444, mtime=1, size=size, digest=digest)
    return Tree(nodes)


def _content(number: int, size: int, noise: bytes) -> Iterator[bytes]:
    yield number.to_bytes(8, "little")
    for place in range(8, size, len(noise)):
        yield noise[: size - place]


def _row(work: str, nar: Nar, run: Callable[[], float], runs: int, *, target: str) -> Measured:
    # The first touches memory that this machine never had before, which costs more than the work.
    run()
    times = [run() for _ in range(runs)]
    rates = [nar.size / seconds / 1e6 for seconds in times]
    return Measured(work, target, spread(rates, "MB/s"), f"{spread(times)} of processor time")


def compare_nars(place: Path, runs: int) -> list[Measured]:
    """All rows; `place` is a directory to be made and removed."""
    large = Nar(place / "large", [LARGE])
    target = "at least 300 MB/s on one core"
    what = "NAR of one file of 512 MiB"
    rows = [
        _row(f"{what}, packed and hashed", large, large.packing, runs, target=target),
        _row(f"{what}, unpacked into the store", large, large.unpacking, runs, target=target),
    ]
    large.close()
    small = Nar(place / "small", [2048 + number % 4096 for number in range(SMALL)])
    what = f"NAR of {SMALL} files of 4 KiB"
    rows += [
        _row(f"{what}, packed and hashed", small, small.packing, runs, target="none"),
        _row(f"{what}, unpacked into the store", small, small.unpacking, runs, target="none"),
    ]
    small.close()
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="osloom-nar-", dir="/var/tmp") as place:
        for row in compare_nars(Path(place), arguments.runs):
            print(f"| {row.work} | {row.target} | {row.figure} | {row.detail} |")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
