"""A directory as storage."""

import os
import shutil
from collections.abc import Generator
from pathlib import Path

from osloom.base.errors import FetchError
from osloom.base.files import replacing
from osloom.fetch.download import GoneError

_CHUNK = 256 << 10


class Directory:
    """See `storage.storage.Storage`. Names do not lead out of it."""

    def __init__(self, root: Path) -> None:
        self._root = root

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

    def write(self, name: str, content: bytes | Path, *, kind: str) -> None:  # noqa: ARG002
        place = self._place(name)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            # Synced: what is named later must not be there before it after a power cut.
            with replacing(place) as file:
                if isinstance(content, bytes):
                    file.write(content)
                else:
                    with content.open("rb") as source:
                        shutil.copyfileobj(source, file, _CHUNK)
        except OSError as error:
            raise self._failed("write", name, error) from error

    def stop(self) -> None:
        """Nothing here waits for anyone."""

    def close(self) -> None:
        pass

    def _place(self, name: str) -> Path:
        if name.startswith("/") or ".." in name.split("/") or "\0" in name:
            raise FetchError(f"cannot use {self._root}: `{name}` leads out of it")
        return self._root / name

    def _failed(self, verb: str, name: str, error: OSError) -> FetchError:
        return FetchError(
            f"cannot {verb} {self._root / name}: {error.strerror or os.strerror(error.errno or 0)}"
        )
