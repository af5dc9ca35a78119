"""What a build made."""

import msgspec

from osloom.base.digest import Digest


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """One output of one image; a file, or a directory of files (an OCI layout)."""

    image: str
    format: str
    """`oci`, `disk`, `nspawn` …"""
    path: str
    """Below the output directory: `gateway/gateway.raw`."""
    size: int
    """Bytes of content; holes of a sparse file count."""
    digest: Digest
    """Of the file; of an OCI layout its manifest."""
    seconds: float = 0.0
    reused: bool = False
    notes: tuple[str, ...] = ()
    """What the user should know of it: a sentence each."""
