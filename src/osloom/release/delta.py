"""What devices fetch of a release that have the one before, foretold from what the channel holds."""

from pathlib import Path

import msgspec

from osloom.base.digest import digest_bytes
from osloom.base.errors import Error
from osloom.fetch.storage.storage import Storage
from osloom.model.block_list import BlockList, missing, parse_list, root_blocks
from osloom.model.blocks import Blocks
from osloom.release.checksums import Sums, version_of
from osloom.release.version import Release

_MOST = 64 << 20
_KINDS = (".verity", ".blocks")
"""Files that say which blocks root and UKI consist of."""


class Delta(msgspec.Struct, frozen=True, kw_only=True):
    """From one version to another."""

    version: int
    """That devices have."""
    fetched: int
    """Bytes."""
    size: int
    """Bytes of all that a device without that version fetches."""


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What a channel has of the newest version before a release."""

    version: int
    lists: dict[str, bytes]
    """By `_KINDS`."""


def read_lists(storage: Storage, sums: Sums, release: Release) -> Held | None:
    """Of the newest version in `sums`; None where there is nothing to compare with."""
    before = max((version_of(name, release.id) or 0 for name in sums), default=0)
    if not 0 < before < release.number or len(_lists(release)) != len(_KINDS):
        return None
    lists = {}
    for kind in _KINDS:
        held = _held(storage, sums, release.id, before, kind)
        if held is None:
            return None
        lists[kind] = held
    return Held(version=before, lists=lists)


def foretell(held: Held, release: Release) -> Delta | None:
    """From what the channel held; None where that is damaged."""
    fetched = size = 0
    for kind, path in _lists(release).items():
        try:
            new, known = _read(kind, path.read_bytes()), _read(kind, held.lists[kind])
        except Error:
            return None
        listed = path.stat().st_size
        fetched += listed + sum(end - begin for begin, end in missing(known, new))
        # The list of a UKI's blocks is for what compares alone.
        size += new.size + (listed if kind == ".verity" else 0)
    return Delta(version=held.version, fetched=fetched, size=size)


def _lists(release: Release) -> dict[str, Path]:
    """The files that say what it consists of, by `_KINDS`."""
    return {
        kind: file.path for file in release.files for kind in _KINDS if file.name.endswith(kind)
    }


def _held(storage: Storage, sums: Sums, own: str, version: int, kind: str) -> bytes | None:
    """A file of a version in the channel, as its checksum says."""
    for name, digest in sums.items():
        if name.endswith(kind) and version_of(name, own) == version:
            data = storage.read(name, limit=_MOST)
            return data if data is not None and digest_bytes(data) == digest else None
    return None


def _read(kind: str, data: bytes) -> BlockList:
    def read(offset: int, size: int) -> bytes:
        return data[offset : offset + size]

    return (
        root_blocks(Blocks(source=read, size=len(data))) if kind == ".verity" else parse_list(data)
    )
