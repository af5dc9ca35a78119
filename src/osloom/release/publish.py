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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from osloom.base.digest import digest_bytes
from osloom.base.errors import FetchError
from osloom.base.progress import Reporter, silent
from osloom.fetch.storage.changed import ChangedError
from osloom.fetch.storage.storage import Storage
from osloom.keys.openpgp import ReleaseSigner
from osloom.release.channel import SUMS_KIND, Current, load_channel, signature_name
from osloom.release.checksums import SIGNATURE, SUMS, format_sums, is_name, version_of
from osloom.release.delta import foretell, read_lists
from osloom.release.journal import JOURNAL, load_journal, save_journal
from osloom.release.published import Published, PublishedFile
from osloom.release.room import bounded, room_of
from osloom.release.succession import Succession, check_number, succeed
from osloom.release.upload import JSON_KIND, Upload
from osloom.release.version import Release, Room, manifest_name

_MOST_MANIFEST = 64 << 20
_SIGNATURE = "application/pgp-signature"


class StorageChannel:
    """One directory of a channel, which holds the versions of one image."""

    def __init__(self, storage: Storage, where: str, *, keep: int) -> None:
        self._storage = storage
        self.where = where
        self._keep = keep

    def check(self, own: str, number: int, *, signer: ReleaseSigner | None) -> None:
        """Raises Error where version `number` of `own` could not be published."""
        current = load_channel(self._storage, self.where, own, signer)
        newest = max((version_of(name, own) or 0 for name in current.sums), default=0)
        check_number(own, number, newest)

    def bring(self, content: Path) -> None:
        """`content` is going to be a file of a release."""
        self._storage.bring(content)

    def publish(
        self, release: Release, *, signer: ReleaseSigner | None, dry_run: bool, report: Reporter
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
    signer: ReleaseSigner | None,
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
        current = load_channel(storage, where, release.id, signer)
        release = bounded(release, _room_before(storage, where, current, release))
        work = _Work(storage, where, release, signer=signer, report=report)
        after = succeed(current.sums, release, keep=keep)
        held = read_lists(storage, current.sums, release)
        with ThreadPoolExecutor(max_workers=1) as pool:
            # Counting takes a processor, sending waits for disks and networks.
            delta = pool.submit(foretell, held, release) if held else None
            made = work.foresee(after) if dry_run else work.do(current, after, alone=alone)
            return msgspec.structs.replace(made, delta=delta.result() if delta else None)


def _room_before(storage: Storage, where: str, current: Current, release: Release) -> Room | None:
    """What devices have that were made with the newest version there, or with one before it.

    Raises FetchError where nobody can tell any more.
    """
    newest = max((version_of(name, release.id) or 0 for name in current.sums), default=0)
    name = manifest_name(release.id, newest)
    if release.room is None or name not in current.sums:
        return None
    if release.sums().get(name) == current.sums[name]:
        return release.room
    manifest = storage.read(name, limit=_MOST_MANIFEST)
    # Of one that was changed nothing can be said: what was signed is its digest.
    if manifest is None or digest_bytes(manifest) != current.sums[name]:
        said = "is gone" if manifest is None else f"is not the one that {SUMS} names"
        raise FetchError(
            f"cannot publish to {where}: {name} {said}, and what devices have room for was in it",
            hint="put it back from a copy of the channel; an empty directory begins anew",
        )
    return room_of(manifest, where=f"{where}/{name}")


class _Work:
    """One publish; see the module."""

    def __init__(
        self,
        storage: Storage,
        where: str,
        release: Release,
        *,
        signer: ReleaseSigner | None,
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
        return self._published(after, self._upload(after).missing(), after.dropped)

    def do(self, current: Current, after: Succession, *, alone: bool) -> Published:
        left = load_journal(self._storage)
        if after.unchanged:
            sent = self._upload(after).send()
            removed = self._remove(left, after, current.text or b"")
            return self._published(after, sent, removed)
        text = format_sums(after.sums, self._release.id)
        # First of all: a key that cannot be used stops a release before anything is sent.
        signature = self._signer.sign(text) if self._signer is not None else None
        # Where nobody comes between, no signature is kept twice.
        twice = () if alone else (current.signature_name, signature_name(text))
        superseded = {name for name in twice if name}
        left |= {*after.dropped, *superseded, *self._release.sums()}
        save_journal(self._storage, left)
        claimed = self._claim(alone=alone)
        sent = self._upload(after).send() | claimed
        self._announce(current, text, signature, alone=alone)
        removed = self._remove(left, after, text)
        return self._published(after, sent, removed)

    def _upload(self, after: Succession) -> Upload:
        return Upload(
            self._storage,
            self._release,
            after.sums,
            is_public=after.unchanged,
            report=self._report,
        )

    def _claim(self, *, alone: bool) -> set[str]:
        """Write the manifest, if it is not there; gives the names of what was written."""
        name = self._release.manifest_name
        there = self._storage.read(name, limit=_MOST_MANIFEST)
        if there == self._manifest:
            return set()
        try:
            self._storage.replace(
                name, self._manifest, kind=JSON_KIND, old=there if alone else None
            )
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

    def _remove(self, names: set[str], after: Succession, text: bytes) -> tuple[str, ...]:
        """Remove what the channel does not hold, and no publish of a higher version may be about
        to announce: that stays in the journal. Gives what was there."""
        kept = {*after.sums, SUMS, SIGNATURE, JOURNAL, signature_name(text)}
        newest = max(after.versions, default=0)
        removed = []
        try:
            for name in sorted(one for one in names - kept if self._is_old(one, newest)):
                # One that was cut off has not sent all that it meant to.
                if self._storage.size(name) is not None:
                    self._storage.remove(name)
                    removed.append(name)
            later = {one for one in names - kept if self._is_later(one, newest)}
            if later:
                save_journal(self._storage, later)
            elif names:
                self._storage.remove(JOURNAL)
        except FetchError as error:
            # The release is out: what is left over takes space, no more.
            self._notes.append(f"{error.message}; the next release tries again")
        return tuple(removed)

    def _is_old(self, name: str, newest: int) -> bool:
        """A journal is not signed: what it says decides about files of releases alone."""
        version = version_of(name, self._release.id)
        is_signature = name.startswith(f"{SUMS}-")
        return is_name(name) and (is_signature if version is None else version <= newest)

    def _is_later(self, name: str, newest: int) -> bool:
        return is_name(name) and (version_of(name, self._release.id) or 0) > newest

    def _published(self, after: Succession, sent: set[str], removed: tuple[str, ...]) -> Published:
        sizes = {file.name: file.size for file in self._release.files}
        return Published(
            id=self._release.id,
            version=self._release.version,
            channel=self._where,
            unchanged=after.unchanged,
            signed=self._signer is not None,
            files=tuple(
                PublishedFile(
                    name=name,
                    size=sizes.get(name, len(self._manifest)),
                    digest=after.sums[name],
                    sent=name in sent,
                )
                for name in sorted(self._release.sums())
            ),
            removed=removed,
            versions=after.versions,
            notes=tuple(self._notes),
        )
