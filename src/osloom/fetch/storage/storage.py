"""Files by name, kept elsewhere: in a directory, on a web server, in an S3 bucket."""

import contextlib
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Protocol

from osloom.fetch.storage.access import Access
from osloom.fetch.storage.directory import Directory
from osloom.fetch.storage.location import Location


class Storage(Protocol):
    """Any number of threads may use it at once. All raise FetchError when it cannot be used.

    Names are relative and have forward slashes: `nar/abc.nar.xz`.
    """

    def read(self, name: str, *, limit: int) -> bytes | None:
        """A small file; None when it is not there. Raises FetchError for more than `limit` bytes."""

    def stream(self, name: str, *, size: int | None) -> Generator[bytes]:
        """A file in pieces as they come, resumed where it is cut off before `size` bytes.

        Raises GoneError when it is not there.
        """

    def size(self, name: str) -> int | None:
        """Bytes of a file; None when it is not there."""

    def names(self) -> frozenset[str] | None:
        """What files lie at its top; None where it cannot tell."""

    def bring(self, content: Path) -> None:
        """`content` is going to be written, and stays as it is: whatever saves time then."""

    def write(self, name: str, content: bytes | Path, *, kind: str) -> None:
        """Keep a file, whole or not at all, of the media type `kind`."""

    def replace(self, name: str, content: bytes, *, kind: str, old: bytes | None) -> None:
        """Write a small file if it is `old` still; None for one that is not there.

        Raises ChangedError when it is something else, as far as the storage can tell.
        """

    def write_together(
        self, files: Mapping[str, bytes], *, kind: str, old: Mapping[str, bytes | None]
    ) -> None:
        """Replace small files that belong together: all at once where the storage can, else in
        their order. Raises ChangedError as `replace` does; then they are as others wrote them."""

    def remove(self, name: str) -> None:
        """Silent when it is not there."""

    def hold(self) -> contextlib.AbstractContextManager[bool]:
        """Keep others out who hold it, for as long as the block lasts; no where it cannot.

        Raises FetchError at once when another process holds it. It ends with its process.
        """

    def stop(self) -> None:
        """Make every thread give up."""

    def close(self) -> None: ...


@contextlib.contextmanager
def open_storage(location: Location, access: Access) -> Iterator[Storage]:
    """The storage at an address. Nothing is sent yet."""
    storage = make_storage(location, access)
    try:
        yield storage
    finally:
        storage.close()


def make_storage(location: Location, access: Access) -> Storage:
    if location.kind == "directory":
        return Directory(Path(location.base))
    from osloom.fetch.storage.signing import find_signer
    from osloom.fetch.storage.web import Web

    signer = find_signer(location) if location.kind == "s3" else None
    return Web(location.base, access, signer=signer)
