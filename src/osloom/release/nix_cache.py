"""Store paths into a binary cache: archives first, then what says that they are there.

The narinfo of a path is written when its archive and the narinfos of all that it refers to are, so
that a push that is cut off never leaves a cache with a path that cannot be had. The next one
continues: an archive that is there, and has the right digest, is not sent again.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TypeVar

import msgspec

from osloom.base.digest import Digest, from_hex, to_hex
from osloom.base.errors import FetchError
from osloom.base.progress import Event, Reporter
from osloom.fetch.storage.storage import Storage
from osloom.model.closure import STORE, StorePath
from osloom.model.nix32 import encode32
from osloom.model.store_path import hash_part
from osloom.sources.nix.cache import INFO, MOST_INFO, compare, store_directory
from osloom.sources.nix.narinfo import MOST, NarInfo, format_narinfo, parse_narinfo
from osloom.sources.nix.signatures import SecretKey, sign

SUFFIXES = {"none": "", "gzip": ".gz", "zstd": ".zst", "xz": ".xz"}
"""What may be behind `.nar`, by the method of compression."""
_INFO_KIND = "text/x-nix-cache-info"
_NARINFO_KIND = "text/x-nix-narinfo"
_NAR_KIND = "application/x-nix-nar"
_WORKERS = 8

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Pushed(msgspec.Struct, frozen=True, kw_only=True):
    """One store path that is in the cache now."""

    path: str
    """`/nix/store/…`."""
    sent: int
    """Bytes of its archive; none where the archive was there."""
    unchanged: bool
    """It was there before."""
    signed_by: tuple[str, ...]
    """Names of keys; none for what is addressed by its content, or what nobody signed."""


class Archive(msgspec.Struct, frozen=True, kw_only=True):
    """The NAR of a store path as it is sent."""

    file: Path
    digest: Digest
    compression: str
    """`none`, `gzip`, `zstd` or `xz`."""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a cache says of a store path now."""

    info: NarInfo
    sent: int
    """Bytes of its archive; none where the archive was there."""


class NixCache:
    """A cache to write to."""

    def __init__(self, url: str, storage: Storage, report: Reporter) -> None:
        self._url = url
        self._storage = storage
        self._report = report

    def prepare(self) -> None:
        """Make it a cache of this store where it is none yet. Raises FetchError for another."""
        text = self._storage.read(INFO, limit=MOST_INFO)
        if text is None:
            self._storage.write(INFO, f"StoreDir: {STORE}\n".encode(), kind=_INFO_KIND)
            return
        directory = store_directory(text)
        if directory != STORE:
            raise FetchError(
                f"cannot push to {self._url}: its `StoreDir` is `{directory}`"
                if directory
                else f"cannot push to {self._url}: its `{INFO}` is something else",
                hint="check the address of the cache",
            )

    def missing(self, paths: Sequence[StorePath]) -> list[StorePath]:
        """Those that the cache has not got. Raises FetchError where it has something else."""
        there = self._map(self._has, paths)
        return [path for path, known in zip(paths, there, strict=True) if not known]

    def push(
        self,
        paths: Sequence[StorePath],
        archives: Mapping[str, Archive],
        secret: SecretKey | None,
    ) -> list[Told]:
        """Write `paths`, whose references are there or among them; gives what is said of them.

        `archives` are by the paths' names. `secret` signs beside those who have signed before.
        """

        def send(path: StorePath) -> Told:
            return self._send(path, archives[path.name], secret)

        ordered = sorted(paths, key=lambda path: -path.nar_size)
        told = {one.info.name: one for one in self._map(send, ordered)}
        for level in _levels(paths):
            self._map(self._tell, [told[path.name].info for path in level])
        return [told[path.name] for path in paths]

    def _has(self, path: StorePath) -> bool:
        name = f"{hash_part(path.name)}.narinfo"
        text = self._storage.read(name, limit=MOST)
        if text is None:
            return False
        where = f"{self._url}/{name}"
        compare(parse_narinfo(text, where=where, wanted=path.name), path, where)
        return True

    def _send(self, path: StorePath, archive: Archive, secret: SecretKey | None) -> Told:
        size = archive.file.stat().st_size
        digits = encode32(bytes.fromhex(to_hex(archive.digest)))
        url = f"nar/{digits}.nar{SUFFIXES[archive.compression]}"
        event_id, title = f"push {path.name}", f"push {path.name}"
        self._report(Event(kind="started", id=event_id, title=title, group="push", total=size))
        try:
            there = self._is_there(url, size, archive.digest)
            if not there:
                self._storage.write(url, archive.file, kind=_NAR_KIND)
        except BaseException:
            self._report(Event(kind="failed", id=event_id, title=title, group="push"))
            raise
        self._report(Event(kind="finished", id=event_id, title=title, group="push"))
        more = (sign(path, secret),) if secret is not None else ()
        info = NarInfo(
            name=path.name,
            url=url,
            compression=archive.compression,
            file_hash=archive.digest,
            file_size=size,
            nar_hash=path.nar_hash,
            nar_size=path.nar_size,
            references=path.references,
            deriver=path.deriver,
            signatures=tuple(dict.fromkeys((*path.signatures, *more))),
            content_address=path.content_address,
        )
        return Told(info=info, sent=0 if there else size)

    def _is_there(self, url: str, size: int, digest: Digest) -> bool:
        """Whether an archive is there whole: no narinfo has vouched for it yet."""
        if self._storage.size(url) != size:
            return False
        found = hashlib.sha256()
        for piece in self._storage.stream(url, size=size):
            found.update(piece)
        return from_hex(found.hexdigest()) == digest

    def _tell(self, info: NarInfo) -> None:
        name = f"{hash_part(info.name)}.narinfo"
        self._storage.write(name, format_narinfo(info).encode(), kind=_NARINFO_KIND)

    def _map(self, do: Callable[[_Item], _Result], items: Iterable[_Item]) -> list[_Result]:
        with ThreadPoolExecutor(max_workers=_WORKERS) as pool:
            futures = [pool.submit(do, item) for item in items]
            try:
                wait(futures, return_when=FIRST_EXCEPTION)
                failed = next((one for one in futures if one.done() and one.exception()), None)
                return [one.result() for one in ([failed] if failed else futures)]
            except BaseException:
                self._storage.stop()
                pool.shutdown(wait=False, cancel_futures=True)
                raise


def _levels(paths: Sequence[StorePath]) -> list[list[StorePath]]:
    """`paths` in groups: each refers to none but itself and those of groups before its own."""
    waiting = {path.name: path for path in paths}
    levels = []
    while waiting:
        ready = [
            path
            for path in waiting.values()
            if not any(name in waiting for name in path.references if name != path.name)
        ]
        # Nix allows no cycle, and the lock might: then all the rest at once.
        ready = ready or list(waiting.values())
        for path in ready:
            del waiting[path.name]
        levels.append(ready)
    return levels
