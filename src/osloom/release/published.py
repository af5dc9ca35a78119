"""What publishing a release did, for people and programs."""

import msgspec

from osloom.base.digest import Digest
from osloom.release.delta import Delta


class PublishedFile(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    size: int
    """Bytes."""
    digest: Digest
    sent: bool
    """Else it was there."""


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """What a publish did; with `dry_run`, would do."""

    id: str
    version: str
    channel: str
    unchanged: bool
    """The release was published before."""
    signed: bool
    files: tuple[PublishedFile, ...]
    removed: tuple[str, ...]
    """Files of versions that are no longer kept, and what was left over."""
    versions: tuple[int, ...]
    """That the channel holds now, the newest first."""
    delta: Delta | None = None
    """What devices with the version before fetch."""
    notes: tuple[str, ...] = ()
    """What went less well, for people."""

    @property
    def sent(self) -> int:
        """Bytes."""
        return sum(file.size for file in self.files if file.sent)
