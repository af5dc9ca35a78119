"""What of a version is published: what devices fetch, and the whole disk for new ones."""

import msgspec

from osloom.assemble.appliance.packed_disk import plan_packed_disk
from osloom.assemble.appliance.version import Version
from osloom.assemble.request import Request
from osloom.base.digest import Digest
from osloom.engine.step import Job, Output, Step, action
from osloom.model.block_list import format_list, uki_blocks
from osloom.model.blocks import blocks_of


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """What a release has beside root, hashes and UKI; blobs."""

    blocks: Output
    """Which blocks the UKI consists of (`model.block_list`)."""
    disk: Output
    """The raw disk, zstd."""
    block_map: Output
    """Of the raw disk: what of it has to be written to a device (`model.bmap`)."""


@action(version=1)
def list_blocks(job: Job) -> dict[str, Digest]:
    """The block list of the UKI `file`."""
    blobs = job.store.blobs
    uki = blocks_of(blobs.mapped(job.digest("file")))
    return {"file": blobs.add(format_list(uki_blocks(uki)))}


def plan_release(request: Request, version: Version) -> Published:
    listed = Step(
        action=list_blocks,
        title=f"list the blocks of the UKI of {request.name}",
        group=request.name,
        inputs={"file": version.uki},
    )
    disk, block_map = plan_packed_disk(request, version)
    return Published(blocks=listed.output("file"), disk=disk, block_map=block_map)
