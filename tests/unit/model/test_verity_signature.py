"""Partitions with signatures of root hashes, as disks of anybody may hold them."""

import json

import pytest

from osloom.base.errors import Error
from osloom.model.blocks import Blocks
from osloom.model.verity_signature import read_signature

_HASH = "ab" * 32
_WHOLE = {"rootHash": _HASH, "certificateFingerprint": "cd" * 32, "signature": "AAAA"}


def partition(content: bytes) -> Blocks:
    padded = content.ljust(16 << 10, b"\0")
    return Blocks(source=lambda offset, size: padded[offset : offset + size], size=len(padded))


def test_what_a_partition_says_is_read() -> None:
    found = read_signature(partition(json.dumps(_WHOLE).encode()))
    assert (found.root_hash, found.certificate_fingerprint) == (_HASH, "cd" * 32)
    del (without := dict(_WHOLE))["certificateFingerprint"]
    assert read_signature(partition(json.dumps(without).encode())).certificate_fingerprint is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        json.dumps({**_WHOLE, "rootHash": "\x1b[31m"}).encode(),
        json.dumps({**_WHOLE, "certificateFingerprint": 7}).encode(),
        json.dumps(_WHOLE).encode() + b"\0{}",
        b"[" * 5000,
    ],
)
def test_what_is_none_is_said(content: bytes) -> None:
    with pytest.raises(Error, match="its signature cannot be read"):
        read_signature(partition(content))
