"""Signatures of root hashes, as partitions beside the hashes; whoever mounts a disk image can tell
by them whose it is. systemd-dissect(1),
https://uapi-group.org/specifications/specs/discoverable_partitions_specification/
"""

from collections.abc import Mapping

import msgspec

from osloom.base.digest import Digest
from osloom.engine.step import Job, Output, Step, action
from osloom.keys.sign import verity_signature_partition
from osloom.model.verity import SIGNATURE_SIZE


class VerityKey(msgspec.Struct, frozen=True, kw_only=True):
    """Who signs root hashes."""

    certificate: str
    """SHA-256 of the certificate in DER, in hexadecimal digits."""
    public: Digest
    """The certificate in PEM."""


@action(version=1, needs="key")
def sign_root_hash(job: Job) -> Mapping[str, Digest]:
    """What a partition with the signature of the blob `root_hash` holds, to its last byte."""
    blobs = job.store.blobs
    signer = job.signers[job.parameters["certificate"]]()
    content = verity_signature_partition(blobs.read(job.digest("root_hash")).decode(), signer)
    # The rest has to be zero, also where a longer signature was before.
    return {"file": blobs.add(content.ljust(SIGNATURE_SIZE, b"\0"))}


def plan_signature(key: VerityKey, root_hash: Output, *, group: str) -> Output:
    return Step(
        action=sign_root_hash,
        title=f"sign the root hash of {group}",
        group=group,
        parameters={"certificate": key.certificate},
        inputs={"root_hash": root_hash},
    ).output("file")
