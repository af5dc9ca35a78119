"""What of a version is published: what devices fetch, and the whole disk for new ones."""

import msgspec

from osloom.assemble.appliance.disk import plan_disk_of
from osloom.assemble.appliance.version import Version
from osloom.assemble.compression import compress, programs
from osloom.assemble.request import Request
from osloom.base.digest import Digest
from osloom.engine.step import Job, Output, Step, action

_LEVEL = 9


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """Blobs, but for `root_hash`, which is in the names of two of them."""

    version: Version
    disk: Output
    """The raw disk, zstd."""


@action(version=1)
def compress_disk(job: Job) -> dict[str, Digest]:
    """The blob `file` with zstd."""
    chunks = job.store.blobs.chunks(job.digest("file"))
    return {"file": compress(job, chunks, "zstd", _LEVEL)}


def plan_release(request: Request, version: Version) -> Published:
    raw = plan_disk_of(request, version, "raw")
    packed = Step(
        action=compress_disk,
        title=f"compress the disk of {request.name}",
        group=request.name,
        inputs={"file": raw, **programs("zstd", request.compressors)},
    )
    return Published(version=version, disk=packed.output("file"))
