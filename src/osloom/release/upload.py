"""The files of a release into storage: only what is not there, and nothing that is damaged."""

import hashlib
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path

from osloom.base.digest import Digest, from_hex
from osloom.base.errors import Error
from osloom.base.files import sha256_sparse
from osloom.base.progress import Event, Reporter
from osloom.fetch.download import GoneError
from osloom.fetch.storage.storage import Storage
from osloom.release.checksums import Sums
from osloom.release.version import Release

JSON_KIND = "application/json"
_FILE_KIND = "application/octet-stream"
_WORKERS = 4


class Upload:
    """Brings the files of `release` and its manifest to where `sums` says they are.

    `is_public`: `sums` has been published, and its files were read when they were sent.
    """

    def __init__(
        self, storage: Storage, release: Release, sums: Sums, *, is_public: bool, report: Reporter
    ) -> None:
        self._storage = storage
        self._report = report
        self._sums = sums
        self._is_public = is_public
        manifest = release.manifest()
        self._sizes = {
            **{file.name: file.size for file in release.files},
            release.manifest_name: len(manifest),
        }
        self._new = {file.name for file in release.files if file.is_new}
        own: dict[str, Path | bytes] = {file.name: file.path for file in release.files}
        own[release.manifest_name] = manifest
        digests = release.sums()
        self._contents = {name: one for name, one in own.items() if digests[name] == sums[name]}

    def missing(self) -> set[str]:
        """The names of what would be sent."""
        return {name for name in self._contents if not self._is_there(name)}

    def send(self) -> set[str]:
        """Send what is missing; gives the names. Raises Error for a file that is damaged here."""
        # The largest takes longest.
        names = sorted(self._contents, key=lambda name: -self._sizes[name])
        with ThreadPoolExecutor(max_workers=_WORKERS) as pool:
            futures = {name: pool.submit(self._send, name) for name in names}
            try:
                wait(futures.values(), return_when=FIRST_EXCEPTION)
                for one in futures.values():
                    if one.done() and one.exception():
                        one.result()
                return {name for name, one in futures.items() if one.result()}
            except BaseException:
                self._storage.stop()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _send(self, name: str) -> bool:
        if self._is_there(name):
            return False
        event_id, title = f"release {name}", f"send {name}"
        size, content = self._sizes[name], self._contents[name]
        self._report(Event(kind="started", id=event_id, title=title, group="release", total=size))
        try:
            if isinstance(content, Path) and name not in self._new:
                _check_content(content, self._sums[name])
            kind = JSON_KIND if name.endswith(".json") else _FILE_KIND
            self._storage.write(name, content, kind=kind)
        except BaseException:
            self._report(Event(kind="failed", id=event_id, title=title, group="release"))
            raise
        self._report(Event(kind="finished", id=event_id, title=title, group="release"))
        return True

    def _is_there(self, name: str) -> bool:
        if self._storage.size(name) != self._sizes[name]:
            return False
        if self._is_public:
            return True
        found = hashlib.sha256()
        try:
            for chunk in self._storage.stream(name, size=self._sizes[name]):
                found.update(chunk)
        except GoneError:
            return False
        return from_hex(found.hexdigest()) == self._sums[name]


def _check_content(path: Path, digest: Digest) -> None:
    """Devices would find out, and fetch it for nothing."""
    if from_hex(sha256_sparse(path)) != digest:
        raise Error(
            f"cannot release {path}: it is damaged", hint="run `osloom cache verify`, and again"
        )
