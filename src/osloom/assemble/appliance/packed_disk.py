"""The disk for new devices as a release has it: compressed and mapped, and never written in full.

It is a zstd file of many frames (`assemble.frames`): the root's are made while the UKI and the rest
still are, and zeros, most of the disk, go through no program. The frames follow from what the disk
holds, not from where a file has holes.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from osloom.assemble.appliance.disk import laid_out_as, laid_out_of, lay_out
from osloom.assemble.appliance.version import Version
from osloom.assemble.frames import add_frames, chunks_of, chunks_of_blocks, read_frames
from osloom.assemble.request import Request
from osloom.base.digest import Digest, to_hex
from osloom.base.files import mapped
from osloom.engine.step import Job, Output, Step, action
from osloom.model.blocks import Blocks, blocks_of, with_parts, zeros
from osloom.model.bmap import Range, make_bmap
from osloom.model.chunks import Bytes
from osloom.model.mapped import mapped_ranges
from osloom.model.verity_check import data_hashes

_GRAIN = 4 << 20
"""Bytes that are zeros together or are not."""


@action(version=3)
def pack_root(job: Job) -> Mapping[str, Digest]:
    """The blob `root` with zstd, as the tree `frames`; `hashes` are those of dm-verity."""
    blobs = job.store.blobs
    digests = data_hashes(blocks_of(blobs.mapped(job.digest("hashes"))))
    chunks = chunks_of_blocks(blobs.mapped(job.digest("root")), digests)
    return {"frames": add_frames(job, chunks, tools="compressors")}


@action(version=5)
def frame_disk(job: Job) -> Mapping[str, Digest]:
    """What of the disk of `lay_out` lies `before` and `after` the root, with zstd, as trees of
    frames; and the block map of all of it, `map`."""
    blobs = job.store.blobs
    laid = lay_out(job)
    root = Range(laid.root, laid.root + blobs.path(job.digest("root")).stat().st_size)
    contents = {
        offset: mapped(content) if isinstance(content, Path) else memoryview(content)
        for offset, content in laid.contents.items()
    }
    disk = with_parts(
        zeros(laid.size), {offset: blocks_of(content) for offset, content in contents.items()}
    )
    with ThreadPoolExecutor(max_workers=1) as pool:
        # One hashes, the other mostly waits for programs.
        known = {root: to_hex(job.digest("root"))}
        text = pool.submit(lambda: make_bmap(disk, mapped_ranges(disk), known))
        return {
            name: add_frames(job, chunks_of(_parts(disk, part, contents)), tools="compressors")
            for name, part in (("before", (0, root.start)), ("after", (root.end, disk.size)))
        } | {
            "map": blobs.add(text.result().encode()),
        }


@action(version=3)
def pack_disk(job: Job) -> Mapping[str, Digest]:
    """The disk with zstd: the frames `before`, of the `root`, and `after`."""
    blobs = job.store.blobs
    parts = (read_frames(blobs, job.tree(name)) for name in ("before", "root", "after"))
    return {"disk": blobs.add_chunks(itertools.chain.from_iterable(parts))}


def _parts(
    disk: Blocks, part: tuple[int, int], contents: Mapping[int, memoryview]
) -> Iterator[Iterable[Bytes] | int]:
    """The bytes from `part[0]` to `part[1]`, each to be read before the next; as numbers where there
    are zeros. What is large of `contents`, which are where they are of the disk, is not copied."""
    start, end = part
    filled = [(one, one + len(content)) for one, content in contents.items()]
    for place, content in sorted(contents.items()):
        if start <= place < end and len(content) >= _GRAIN:
            yield from _grains(disk, (start, place), filled)
            yield [content]
            start = place + len(content)
    yield from _grains(disk, (start, end), filled)


def _grains(
    disk: Blocks, part: tuple[int, int], filled: Iterable[tuple[int, int]]
) -> Iterator[Iterator[bytes] | int]:
    """`_parts` of what is small and lies between zeros; all but them is `filled`."""
    first, last = part
    empty = bytes(_GRAIN)
    read = {
        number
        for start, end in filled
        for number in range(max(start - first, 0) // _GRAIN, -(-(end - first) // _GRAIN))
    }

    def grain(start: int) -> tuple[int, bytes | None]:
        size = min(_GRAIN, last - start)
        if (start - first) // _GRAIN not in read:
            return size, None
        data = disk.read(start, size)
        return size, None if data == empty[:size] else data

    grains = map(grain, range(first, last, _GRAIN))
    for is_zero, found in itertools.groupby(grains, lambda one: one[1] is None):
        if is_zero:
            yield sum(size for size, _ in found)
        else:
            yield (data for _, data in found if data is not None)


def plan_packed_disk(request: Request, version: Version) -> tuple[Output, Output]:
    """The disk, and its block map."""
    root = Step(
        action=pack_root,
        title=f"compress the root of {request.name}",
        group=request.name,
        inputs={
            "root": version.root,
            "hashes": version.hashes,
            "compressors": request.compressors,
        },
    ).output("frames")
    framed = Step(
        action=frame_disk,
        title=f"lay out the disk of {request.name}",
        group=request.name,
        parameters=laid_out_as(request),
        inputs={**laid_out_of(request, version), "compressors": request.compressors},
    )
    packed = Step(
        action=pack_disk,
        title=f"pack the disk of {request.name}",
        group=request.name,
        inputs={"before": framed.output("before"), "root": root, "after": framed.output("after")},
    )
    return packed.output("disk"), framed.output("map")
