"""A release into a channel: content first, then what names it, at last what is no longer kept.

1. The manifest is written where there is none: it claims the version. Of two publishers with other
   bytes for one version, one finds that of the other.
2. The files, those left out that are there with their size and digest.
3. SHA256SUMS.gpg and SHA256SUMS, if they are still those that the release builds on: all at one
   moment in a directory, else one directly after the other.
4. What SHA256SUMS no longer names is removed. `unfinished.json` says from before the first step to
   after the last what may be left over.

Killed at any moment, the release before it stays whole, and the next publish finishes the work.
"""

import contextlib
import hashlib
from collections.abc import Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path

import msgspec

from osloom.base.digest import Digest, from_hex
from osloom.base.errors import Error, FetchError
from osloom.base.files import sha256_sparse
from osloom.base.progress import Event, Reporter, silent
from osloom.fetch.download import GoneError
from osloom.fetch.storage.changed import ChangedError
from osloom.fetch.storage.storage import Storage
from osloom.release.channel import SUMS_KIND, Current, Signing, load_channel, signature_name
from osloom.release.checksums import SIGNATURE, SUMS, format_sums, version_of
from osloom.release.succession import Succession, check_number, succeed
from osloom.release.version import Release

JOURNAL = "unfinished.json"
_MOST_JOURNAL = 1 << 20
_MOST_MANIFEST = 64 << 20
_JSON = "application/json"
_FILE = "application/octet-stream"
_SIGNATURE = "application/pgp-signature"
_WORKERS = 4


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
    notes: tuple[str, ...] = ()
    """What went less well, for people."""

    @property
    def sent(self) -> int:
        """Bytes."""
        return sum(file.size for file in self.files if file.sent)


class _Journal(msgspec.Struct, frozen=True, kw_only=True):
    files: tuple[str, ...] = ()


class StorageChannel:
    """One directory of a channel, which holds the versions of one image."""

    def __init__(self, storage: Storage, where: str, *, keep: int) -> None:
        self._storage = storage
        self.where = where
        self._keep = keep

    def check(self, own: str, number: int, *, signer: Signing | None) -> None:
        """Raises Error where version `number` of `own` could not be published."""
        current = load_channel(self._storage, self.where, signer)
        newest = max((version_of(name, own) or 0 for name in current.sums), default=0)
        check_number(own, number, newest)

    def publish(
        self, release: Release, *, signer: Signing | None, dry_run: bool, report: Reporter
    ) -> Published:
        """See `publish`."""
        return publish(
            self._storage,
            self.where,
            release,
            signer=signer,
            keep=self._keep,
            dry_run=dry_run,
            report=report,
        )


def publish(
    storage: Storage,
    where: str,
    release: Release,
    *,
    signer: Signing | None,
    keep: int,
    dry_run: bool = False,
    report: Reporter = silent,
) -> Published:
    """Publish `release` into `storage`, a directory of the channel that messages call `where`.

    `signer` signs SHA256SUMS and has signed what is there; None is for channels without
    signatures. The `keep` newest versions stay. Raises Error for a version that may not follow
    those that are there, and FetchError when the channel cannot be trusted or written, or somebody
    else publishes to it; then what it held before is whole.
    """
    _ = release.number
    with contextlib.nullcontext(enter_result=False) if dry_run else storage.hold() as alone:
        work = _Work(storage, where, release, signer=signer, report=report)
        current = load_channel(storage, where, signer)
        after = succeed(current.sums, release, keep=keep)
        if dry_run:
            return work.foresee(after)
        return work.do(current, after, alone=alone)


class _Work:
    """One publish; see the module."""

    def __init__(
        self,
        storage: Storage,
        where: str,
        release: Release,
        *,
        signer: Signing | None,
        report: Reporter,
    ) -> None:
        self._storage = storage
        self._where = where
        self._release = release
        self._signer = signer
        self._report = report
        self._manifest = release.manifest()
        self._notes: list[str] = []

    def foresee(self, after: Succession) -> Published:
        missing = {name for name in self._contents(after) if not self._is_there(name, after)}
        return self._published(after, missing, after.dropped)

    def do(self, current: Current, after: Succession, *, alone: bool) -> Published:
        left = self._left_over()
        if after.unchanged:
            sent = self._send(after)
            removed = self._remove(left, after, current.text or b"")
            return self._published(after, sent, removed)
        text = format_sums(after.sums, self._release.id)
        # First of all: a key that cannot be used stops a release before anything is sent.
        signature = self._signer.sign(text) if self._signer is not None else None
        superseded = {name for name in (current.signature_name, signature_name(text)) if name}
        left |= {*after.dropped, *superseded, *self._release.sums()}
        self._remember(left)
        claimed = self._claim(alone=alone)
        sent = self._send(after) | claimed
        self._announce(current, text, signature, alone=alone)
        removed = self._remove(left, after, text)
        return self._published(after, sent, removed)

    def _contents(self, after: Succession) -> dict[str, Path | bytes]:
        """Of the files that the channel is to hold, by name."""
        own: dict[str, Path | bytes] = {file.name: file.path for file in self._release.files}
        own[self._release.manifest_name] = self._manifest
        sums = self._release.sums()
        return {name: content for name, content in own.items() if sums[name] == after.sums[name]}

    def _size(self, name: str) -> int:
        sizes = {file.name: file.size for file in self._release.files}
        return sizes.get(name, len(self._manifest))

    def _claim(self, *, alone: bool) -> set[str]:
        """Write the manifest, if it is not there; gives the names of what was written."""
        name = self._release.manifest_name
        there = self._storage.read(name, limit=_MOST_MANIFEST)
        if there == self._manifest:
            return set()
        try:
            self._storage.replace(name, self._manifest, kind=_JSON, old=there if alone else None)
        except ChangedError as error:
            if self._storage.read(name, limit=_MOST_MANIFEST) == self._manifest:
                return set()
            raise FetchError(
                f"cannot release version {self._release.version} to {self._where}: a release of it "
                "with other bytes has begun",
                hint="let it end; where it was cut off, set "
                f'`version = "{self._release.number + 1}"` in `[project]`',
            ) from error
        return {name}

    def _send(self, after: Succession) -> set[str]:
        """Send what is missing; gives the names."""
        contents = self._contents(after)
        # The largest takes longest.
        names = sorted(contents, key=lambda name: -self._size(name))

        def send(name: str) -> bool:
            if self._is_there(name, after):
                return False
            event_id, title = f"release {name}", f"send {name}"
            total, content = self._size(name), contents[name]
            self._report(
                Event(kind="started", id=event_id, title=title, group="release", total=total)
            )
            try:
                if isinstance(content, Path):
                    _check_content(content, after.sums[name])
                self._storage.write(name, content, kind=_kind(name))
            except BaseException:
                self._report(Event(kind="failed", id=event_id, title=title, group="release"))
                raise
            self._report(Event(kind="finished", id=event_id, title=title, group="release"))
            return True

        with ThreadPoolExecutor(max_workers=_WORKERS) as pool:
            futures = {name: pool.submit(send, name) for name in names}
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

    def _is_there(self, name: str, after: Succession) -> bool:
        if self._storage.size(name) != self._size(name):
            return False
        # What devices are told to fetch is not read again for each look at it.
        if after.unchanged:
            return True
        found = hashlib.sha256()
        try:
            for chunk in self._storage.stream(name, size=self._size(name)):
                found.update(chunk)
        except GoneError:
            return False
        return from_hex(found.hexdigest()) == after.sums[name]

    def _announce(
        self, current: Current, text: bytes, signature: bytes | None, *, alone: bool
    ) -> None:
        files, old = {SUMS: text}, {SUMS: current.text}
        if signature is not None:
            if not alone:
                self._storage.write(signature_name(text), signature, kind=_SIGNATURE)
            files = {SIGNATURE: signature, SUMS: text}
            old = {SIGNATURE: current.signature, SUMS: current.text}
        try:
            self._storage.write_together(files, kind=SUMS_KIND, old=old)
        except ChangedError as error:
            raise FetchError(
                f"cannot release version {self._release.version} to {self._where}: "
                "somebody else has published to it meanwhile",
                hint="run this again: it goes on from what is there now",
            ) from error

    def _left_over(self) -> set[str]:
        data = self._storage.read(JOURNAL, limit=_MOST_JOURNAL)
        try:
            return {*msgspec.json.decode(data or b"{}", type=_Journal).files}
        except msgspec.DecodeError:
            return set()

    def _remember(self, names: Iterable[str]) -> None:
        journal = msgspec.json.encode(_Journal(files=tuple(sorted(names))))
        self._storage.write(JOURNAL, journal, kind=_JSON)

    def _remove(self, names: set[str], after: Succession, text: bytes) -> tuple[str, ...]:
        """Remove what the channel does not hold, and no publish of a higher version may be about
        to announce."""
        kept = {*after.sums, SUMS, SIGNATURE, JOURNAL, signature_name(text)}
        newest = max(after.versions, default=0)
        removed = []
        try:
            for name in sorted(names - kept):
                if _is_ours(name) and (version_of(name, self._release.id) or 0) <= newest:
                    self._storage.remove(name)
                    removed.append(name)
            if names:
                self._storage.remove(JOURNAL)
        except FetchError as error:
            # The release is out: what is left over takes space, no more.
            self._notes.append(f"{error.message}; the next release tries again")
        return tuple(removed)

    def _published(self, after: Succession, sent: set[str], removed: tuple[str, ...]) -> Published:
        return Published(
            id=self._release.id,
            version=self._release.version,
            channel=self._where,
            unchanged=after.unchanged,
            signed=self._signer is not None,
            files=tuple(
                PublishedFile(
                    name=name, size=self._size(name), digest=after.sums[name], sent=name in sent
                )
                for name in sorted(self._release.sums())
            ),
            removed=removed,
            versions=after.versions,
            notes=tuple(self._notes),
        )


def _check_content(path: Path, digest: Digest) -> None:
    """Devices would find out, and fetch it for nothing."""
    if from_hex(sha256_sparse(path)) != digest:
        raise Error(
            f"cannot release {path}: it is damaged", hint="run `osloom cache verify`, and again"
        )


def _kind(name: str) -> str:
    return _JSON if name.endswith(".json") else _FILE


def _is_ours(name: str) -> bool:
    """Whether a name that a journal has may be one of a release: it leads to no other place."""
    return not name.startswith(".") and not {"/", "\0"} & {*name}
