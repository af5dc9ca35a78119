"""What a version of an appliance consists of: a root, its hashes, and the UKI that trusts them."""

import hashlib
from collections.abc import Mapping

import msgspec

from osloom.assemble.appliance import nixos
from osloom.assemble.appliance.signing import plan_finished_uki
from osloom.assemble.filesystem import make_erofs
from osloom.assemble.request import Product, Request
from osloom.assemble.uki import plan_begun_uki, verified_words
from osloom.assemble.verified import add_verified
from osloom.assemble.verity_signature import plan_signature
from osloom.base.digest import Digest, derive_uuid
from osloom.base.errors import BuildError
from osloom.engine.step import Job, Output, Step, action
from osloom.model.appliance import Appliance
from osloom.model.size import MIB

COMPRESSION = "lz4"
"""Of a system of 150 MB a tenth larger than with zstd, made in a tenth of the time."""
_CLUSTERS = ("-C65536", "-Eztailpacking")
"""Bytes that are compressed as one; ends of files beside their inodes."""


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """Each a blob."""

    root: Output
    """The erofs file system."""
    hashes: Output
    """Superblock and hashes of dm-verity."""
    root_hash: Output
    """The root hash in hexadecimal digits."""
    uki: Output
    signature: Output | None = None
    """What the partition with the root hash's signature holds."""


@action(version=5)
def make_root(job: Job) -> Mapping[str, Digest]:
    """The tree `tree` as `root`, at most `slot_size` bytes; its `hashes` and `root_hash`.

    All versions of one appliance, `id`, have the same salt: blocks that are the same in two of
    them have the same hash, by which a device knows what it need not fetch.
    """
    tree = job.tree()
    size = make_erofs(job, tree, "root", job.parameters["compression"], _CLUSTERS)
    most = job.parameters["slot_size"]
    if size > most:
        raise BuildError(
            f"cannot fit the root file system of {-(-size // MIB)} MiB into slots of "
            f"{most // MIB} MiB",
            hint="raise `slot-size` in the table `disk` for devices that are still to be made, "
            "or leave packages out",
        )
    return add_verified(
        job.store.blobs,
        job.work / "root",
        salt=hashlib.sha256(job.parameters["id"].encode()).digest(),
        identity=derive_uuid("verity", tree.digest),
    )


def plan_version(request: Request) -> Version:
    assert request.appliance is not None
    assert request.root is not None
    made = Step(
        action=make_root,
        title=f"write the root of {request.name}",
        group=request.name,
        parameters={
            "compression": request.image.disk.compression or COMPRESSION,
            "epoch": request.epoch,
            "id": request.appliance.id,
            "slot_size": request.appliance.slot_size,
        },
        inputs={"tree": request.root, "tools": request.tools},
    )
    root_hash = made.output("root_hash")
    key = request.verity_key
    return Version(
        root=made.output("root"),
        hashes=made.output("hashes"),
        root_hash=root_hash,
        uki=_finished_uki(request, request.appliance, root_hash),
        signature=plan_signature(key, root_hash, group=request.name) if key else None,
    )


def plan_uki(request: Request) -> tuple[Product, ...]:
    return (Product(path=f"{request.name}.efi", output=plan_version(request).uki),)


def _finished_uki(request: Request, appliance: Appliance, root_hash: Output) -> Output:
    if request.image.nixos is None:
        parts = {"file": plan_begun_uki(request).output("file")}
        words = verified_words(request, appliance)
    else:
        begun = nixos.plan_begun_uki(request)
        parts = {name: begun.output(name) for name in ("file", "line")}
        words = list(request.image.kernel_command_line)
    return plan_finished_uki(
        request.secure_boot,
        {**parts, "root_hash": root_hash},
        words,
        group=request.name,
        # A NixOS system brings an initrd of its own.
        resets=request.image.nixos is None,
    )
