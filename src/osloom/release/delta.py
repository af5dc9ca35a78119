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


def foretell(storage: Storage, sums: Sums, release: Release) -> Delta | None:
    """From the newest version in `sums`; None where there is nothing to compare with."""
    before = max((version_of(name, release.id) or 0 for name in sums), default=0)
    lists = {name: path for name, path in _files(release).items() if name.endswith(_KINDS)}
    if not 0 < before < release.number or len(lists) != len(_KINDS):
        return None
    fetched = size = 0
    for kind in _KINDS:
        (path,) = (path for name, path in lists.items() if name.endswith(kind))
        old = _held(storage, sums, release.id, before, kind)
        if old is None:
            return None
        try:
            new, known = _read(kind, path.read_bytes()), _read(kind, old)
        except Error:
            return None
        listed = path.stat().st_size
        fetched += listed + sum(end - begin for begin, end in missing(known, new))
        # The list of a UKI's blocks is for what compares alone.
        size += new.size + (listed if kind == ".verity" else 0)
    return Delta(version=before, fetched=fetched, size=size)


def _files(release: Release) -> dict[str, Path]:
    return {file.name: file.path for file in release.files}


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
