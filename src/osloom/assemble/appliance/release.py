"""What of a version is published: what devices fetch, and the whole disk for new ones."""

import contextlib
import os
from collections.abc import Iterator

import msgspec

from osloom.assemble.appliance.disk import plan_disk_of
from osloom.assemble.appliance.version import Version
from osloom.assemble.compression import compress, programs
from osloom.assemble.request import Request
from osloom.base.digest import Digest
from osloom.engine.step import Job, Output, Step, action
from osloom.model.block_list import format_list, uki_blocks
from osloom.model.blocks import Blocks
from osloom.model.bmap import make_bmap
from osloom.model.mapped import mapped_ranges

_LEVEL = 3
"""What is in it is compressed already: more takes longer than it saves."""


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """What a release has beside root, hashes and UKI; blobs."""

    blocks: Output
    """Which blocks the UKI consists of (`model.block_list`)."""
    disk: Output
    """The raw disk, zstd."""
    block_map: Output
    """Of the raw disk: what of it has to be written to a device (`model.bmap`)."""


@action(version=2)
def compress_disk(job: Job) -> dict[str, Digest]:
    """The blob `file` with zstd."""
    chunks = job.store.blobs.chunks(job.digest("file"))
    return {"file": compress(job, chunks, "zstd", _LEVEL)}


@action(version=1)
def map_disk(job: Job) -> dict[str, Digest]:
    """The block map of the raw disk `file`."""
    with _opened(job) as disk:
        text = make_bmap(disk, mapped_ranges(disk))
    return {"file": job.store.blobs.add(text.encode())}


@action(version=1)
def list_blocks(job: Job) -> dict[str, Digest]:
    """The block list of the UKI `file`."""
    with _opened(job) as uki:
        return {"file": job.store.blobs.add(format_list(uki_blocks(uki)))}


@contextlib.contextmanager
def _opened(job: Job) -> Iterator[Blocks]:
    with job.store.blobs.path(job.digest("file")).open("rb", buffering=0) as file:

        def read(offset: int, size: int) -> bytes:
            return os.pread(file.fileno(), size, offset)

        yield Blocks(source=read, size=os.fstat(file.fileno()).st_size)


def plan_release(request: Request, version: Version) -> Published:
    raw = plan_disk_of(request, version, "raw")
    packed = Step(
        action=compress_disk,
        title=f"compress the disk of {request.name}",
        group=request.name,
        inputs={"file": raw, **programs("zstd", request.compressors)},
    )
    mapped = Step(
        action=map_disk,
        title=f"map the disk of {request.name}",
        group=request.name,
        inputs={"file": raw},
    )
    listed = Step(
        action=list_blocks,
        title=f"list the blocks of the UKI of {request.name}",
        group=request.name,
        inputs={"file": version.uki},
    )
    return Published(
        blocks=listed.output("file"),
        disk=packed.output("file"),
        block_map=mapped.output("file"),
    )
