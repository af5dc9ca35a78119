"""The partition with the signature of a root hash: JSON, and then zeros;
https://uapi-group.org/specifications/specs/discoverable_partitions_specification/
"""

from typing import Annotated

import msgspec

from osloom.base.errors import Error
from osloom.model.blocks import Blocks

_LARGEST = 4 << 20
"""Bytes, as systemd reads it."""
_Hex = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class VeritySignature(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What such a partition says; `keys.root_hash` verifies it."""

    root_hash: _Hex
    certificate_fingerprint: _Hex | None = None
    """SHA-256 of the signer's certificate in DER."""
    signature: str
    """PKCS#7 in DER, in Base64."""


def read_signature(partition: Blocks) -> VeritySignature:
    """Raises Error for what is none."""
    content = partition.read(0, min(partition.size, _LARGEST)).rstrip(b"\0")
    try:
        return msgspec.json.decode(content, type=VeritySignature)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Error("its signature cannot be read", detail=str(error)) from error


def check_root_hash(found: VeritySignature, root_hash: str | None) -> None:
    """Raises Error when the signature is of another one than `root_hash`."""
    if found.root_hash != root_hash:
        raise Error(f"its signature is of the root hash {found.root_hash}")
