"""A directory as storage."""

import contextlib
import errno
import fcntl
import os
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path

from osloom.base.errors import FetchError
from osloom.base.files import copy_sparse, remove_tree, replacing
from osloom.fetch.download import GoneError
from osloom.fetch.storage.ahead import Ahead
from osloom.fetch.storage.changed import ChangedError
from osloom.fetch.storage.directory_set import write_set
from osloom.fetch.storage.incoming import Incoming

_CHUNK = 256 << 10
_MOST = 64 << 20
"""Bytes of a file that is compared."""
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS)
"""Of symlink(2) where the file system has none, as FAT."""
_LOCK = ".lock"
_INCOMING = ".incoming"


class Directory:
    """See `storage.storage.Storage`. Names do not lead out of it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._incoming: Path | None = None
        """Where files are until they are whole, while others are kept out."""
        self._shared = Incoming()
        """Where they are until then while others write, too."""
        self._ahead = Ahead(root, self._shared)

    def read(self, name: str, *, limit: int) -> bytes | None:
        try:
            with self._place(name).open("rb") as file:
                data = file.read(limit + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._failed("read", name, error) from error
        if len(data) > limit:
            raise FetchError(f"cannot use {self._root / name}: it has more than {limit} bytes")
        return data

    def stream(self, name: str, *, size: int | None) -> Generator[bytes]:  # noqa: ARG002  (Storage)
        try:
            with self._place(name).open("rb", buffering=0) as file:
                while chunk := file.read(_CHUNK):
                    yield chunk
        except FileNotFoundError as error:
            raise GoneError(f"cannot find {self._root / name}") from error
        except OSError as error:
            raise self._failed("read", name, error) from error

    def size(self, name: str) -> int | None:
        try:
            return self._place(name).stat().st_size
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._failed("look at", name, error) from error

    def names(self) -> frozenset[str]:
        try:
            return frozenset(one.name for one in os.scandir(self._root) if not one.is_dir())
        except FileNotFoundError:
            return frozenset()
        except OSError as error:
            raise self._failed("look into", "", error) from error

    def bring(self, content: Path) -> None:
        self._ahead.bring(content)

    def write(self, name: str, content: bytes | Path, *, kind: str) -> None:  # noqa: ARG002
        place = self._place(name)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            incoming = self._incoming or self._shared.below(place.parent)
            # Synced: what is named later must not be there before it after a power cut.
            if isinstance(content, Path):
                if not self._ahead.take(content, place):
                    copy_sparse(content, place, sync=True, directory=incoming)
            else:
                with replacing(place, directory=incoming) as file:
                    file.write(content)
        except OSError as error:
            raise self._failed("write", name, error) from error

    def replace(self, name: str, content: bytes, *, kind: str, old: bytes | None) -> None:
        if self.read(name, limit=_MOST) != old:
            raise ChangedError(str(self._root / name))
        self.write(name, content, kind=kind)

    def write_together(
        self, files: Mapping[str, bytes], *, kind: str, old: Mapping[str, bytes | None]
    ) -> None:
        for name in files:
            if self.read(name, limit=_MOST) != old[name]:
                raise ChangedError(str(self._root / name))
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            write_set(self._root, files)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise self._failed("write", next(iter(files)), error) from error
            for name, content in files.items():
                self.write(name, content, kind=kind)

    def remove(self, name: str) -> None:
        try:
            self._place(name).unlink(missing_ok=True)
        except OSError as error:
            raise self._failed("remove", name, error) from error

    @contextlib.contextmanager
    def hold(self) -> Iterator[bool]:
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            file = (self._root / _LOCK).open("ab")
        except OSError as error:
            raise self._failed("write", _LOCK, error) from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise FetchError(
                    f"cannot write to {self._root}: another process is writing to it",
                    hint="wait until it has ended, and run this again",
                ) from error
            incoming = self._root / _INCOMING
            # What is there is of one that was killed.
            remove_tree(incoming)
            try:
                incoming.mkdir()
            except OSError as error:
                raise self._failed("write", _INCOMING, error) from error
            self._incoming = incoming
            try:
                yield True
            finally:
                remove_tree(incoming)
                self._incoming = None

    def stop(self) -> None:
        """Nothing here waits for anyone."""

    def close(self) -> None:
        self._ahead.close()
        self._shared.close()

    def _place(self, name: str) -> Path:
        if name.startswith("/") or ".." in name.split("/") or "\0" in name:
            raise FetchError(f"cannot use {self._root}: `{name}` leads out of it")
        return self._root / name

    def _failed(self, verb: str, name: str, error: OSError) -> FetchError:
        return FetchError(
            f"cannot {verb} {self._root / name}: {error.strerror or os.strerror(error.errno or 0)}"
        )
