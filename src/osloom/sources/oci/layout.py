"""An image layout beside the definition as the origin of a base: for those without a network.

https://github.com/opencontainers/image-spec/blob/main/image-layout.md
"""

from pathlib import Path

import msgspec

from osloom.base.digest import Digest, digest_json, to_hex
from osloom.base.errors import FetchError
from osloom.base.progress import Reporter
from osloom.fetch.registry.descriptor import (
    LARGEST_MANIFEST,
    OCI_INDEX,
    Descriptor,
    Manifest,
    make_manifest,
)
from osloom.store.store import Store

_CHUNK = 1 << 20


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """See the module."""

    path: Path

    def manifest(self, named: Descriptor | None = None) -> Manifest:
        """What a descriptor of the layout names, or its index. Raises FetchError."""
        place = self._blob(named.digest) if named else self.path / "index.json"
        try:
            with place.open("rb") as file:
                data = file.read(LARGEST_MANIFEST + 1)
        except OSError as error:
            raise self._unreadable(place, error) from error
        if len(data) > LARGEST_MANIFEST:
            raise FetchError(f"cannot use {place}: a manifest of more than 4 MiB")
        made = make_manifest(data, named.media_type if named else OCI_INDEX)
        if named and made.digest != named.digest:
            raise self._changed(named.digest, made.digest)
        return made

    def fetch(self, store: Store, blob: Descriptor, _report: Reporter) -> None:
        """Copy a blob into the store, unless it is there. Raises FetchError."""
        if store.blobs.find(blob.digest) is not None:
            return
        place = self._blob(blob.digest)
        try:
            with place.open("rb") as file:
                found = store.blobs.add_chunks(iter(lambda: file.read(_CHUNK), b""))
        except OSError as error:
            raise self._unreadable(place, error) from error
        if found != blob.digest:
            raise self._changed(blob.digest, found)
        # What no result names, `osloom cache prune` takes away.
        store.results.save(digest_json(["fetch", found]), {"file": found})

    def _blob(self, digest: Digest) -> Path:
        return self.path / "blobs/sha256" / to_hex(digest)

    def _unreadable(self, place: Path, error: OSError) -> FetchError:
        return FetchError(
            f"cannot read {place}: {error.strerror}",
            hint="an image layout has the file `index.json` and the directory `blobs`",
        )

    def _changed(self, wanted: Digest, found: Digest) -> FetchError:
        return FetchError(
            f"cannot use the layout {self.path}: its blob {wanted} has the digest {found}",
            hint="copy the layout again",
        )
