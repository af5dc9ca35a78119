"""Bytes as a zstd file of many frames, one for each chunk of them; the store keeps each frame.

From one version of a disk to the next a small part of it changes: the frames of the rest are there.
A frame follows from its chunk and the program alone.
"""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from osloom.assemble.compression import compress_each
from osloom.base.digest import Digest, digest_bytes, digest_json
from osloom.engine.step import Job
from osloom.model.chunks import BLOCK, Bytes, cut
from osloom.model.tree import Node, Tree
from osloom.model.zstd import frame_of_zeros
from osloom.store.blobs import Blobs

_VERSION = 2
"""Raised when other frames are made of the same chunks."""
_LEVEL = 2
"""What is in it is compressed already: level 3 takes twice as long for a fiftieth less."""
_BATCH = 1 << 20
"""Bytes that one thread compresses before it takes others: the last one is waited for."""
_MOST_THREADS = 8


class Chunk(NamedTuple):
    """A part of the bytes, and a digest that nothing else has."""

    name: Digest
    content: Bytes


def add_frames(job: Job, chunks: Iterable[Chunk | int], *, tools: str) -> Digest:
    """The tree of the frames of `chunks`, in order; a number is one of zeros.

    `tools` is the input that has the program.
    """
    own = digest_json([_VERSION, _LEVEL, job.digest(tools)])
    order: list[Digest] = []
    made: dict[Digest, Digest] = {}
    with _Batches(job, tools) as batches:
        for one in chunks:
            key = digest_json([own, one if isinstance(one, int) else one.name])
            order.append(key)
            if key in made:
                continue
            result = job.store.results.find(key)
            if result is not None:
                job.store.results.touch(key)
                made[key] = result.outputs["frame"]
            elif isinstance(one, int):
                made[key] = job.store.blobs.add(frame_of_zeros(one))
            else:
                batches.add(key, one.content)
        made |= batches.finish()
    return job.store.add_tree(
        Tree(
            (f"{number:08}", _node(job.store.blobs, made[key])) for number, key in enumerate(order)
        )
    )


def chunks_of(parts: Iterable[Iterable[Bytes] | int]) -> Iterator[Chunk | int]:
    """`parts`, bytes in pieces or a number of zeros, in chunks by their own digests."""
    for part in parts:
        if isinstance(part, int):
            yield part
        else:
            yield from (Chunk(digest_bytes(content), content) for content in cut(part))


def chunks_of_blocks(content: Bytes, digests: Sequence[bytes]) -> Iterator[Chunk]:
    """`content` in chunks by the digests of its blocks, which are known."""
    first = 0
    for chunk in cut([content]):
        behind = first + -(-len(chunk) // BLOCK)
        yield Chunk(digest_bytes(b"".join(digests[first:behind])), chunk)
        first = behind


def read_frames(blobs: Blobs, tree: Tree) -> Iterator[bytes]:
    """The file that the frames of `add_frames` are."""
    for node in tree.values():
        assert node.digest is not None
        yield blobs.read(node.digest)


def _node(blobs: Blobs, digest: Digest) -> Node:
    return Node("file", 0o644, size=blobs.path(digest).stat().st_size, digest=digest)


class _Batches:
    """Chunks that threads compress, as many as there are processors."""

    def __init__(self, job: Job, tools: str) -> None:
        self._job, self._tools = job, tools
        self._threads = min(len(os.sched_getaffinity(0)), _MOST_THREADS)
        self._pool = ThreadPoolExecutor(max_workers=self._threads)
        self._running: deque[Future[Mapping[Digest, Digest]]] = deque()
        self._made: dict[Digest, Digest] = {}
        self._batch: dict[Digest, Bytes] = {}
        self._size = 0

    def __enter__(self) -> "_Batches":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def add(self, key: Digest, chunk: Bytes) -> None:
        if key not in self._batch:
            self._batch[key] = chunk
            self._size += len(chunk)
        if self._size >= _BATCH:
            self._begin()

    def finish(self) -> Mapping[Digest, Digest]:
        """The frames of all that was added, by their keys."""
        self._begin()
        while self._running:
            self._made |= self._running.popleft().result()
        return self._made

    def _begin(self) -> None:
        # No more in memory than is compressed at a time.
        while len(self._running) >= self._threads:
            self._made |= self._running.popleft().result()
        if self._batch:
            batch, self._batch, self._size = self._batch, {}, 0
            self._running.append(self._pool.submit(_compress, self._job, batch, self._tools))


def _compress(job: Job, batch: Mapping[Digest, Bytes], tools: str) -> Mapping[Digest, Digest]:
    frames = compress_each(job, map(bytes, batch.values()), _LEVEL, tools=tools)
    made = {key: job.store.blobs.add(frame) for key, frame in zip(batch, frames, strict=True)}
    for key, frame in made.items():
        job.store.results.save(key, {"frame": frame})
    return made
