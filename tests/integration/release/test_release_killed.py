"""Whoever is killed while publishing leaves a channel whole, and the next one finishes the work."""

import os
import shutil
import signal
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from osloom.fetch.storage.access import Access
from osloom.fetch.storage.directory import Directory
from osloom.fetch.storage.location import parse_location
from osloom.fetch.storage.storage import Storage, open_storage
from osloom.keys.openpgp import ReleaseSigner
from osloom.keys.sign import keyring as in_binary
from osloom.release.checksums import SIGNATURE, SUMS
from osloom.release.version import Release
from support.programs import Programs
from support.publishing import (
    Publisher,
    expected_files,
    files_at,
    make_release,
    make_signer,
    publish_to,
    versions_at,
)
from support.s3 import KEY, SECRET, s3


@dataclass
class Field:
    """Versions 1 to 4, of which 1 to 3 are in a channel when 4 is published."""

    directory: Path
    signer: ReleaseSigner
    programs: Programs
    releases: dict[int, Release]
    verified: dict[tuple[bytes, ...], bool] = field(default_factory=dict)

    @property
    def old(self) -> dict[str, str]:
        return self._names(1, 2, 3)

    @property
    def new(self) -> dict[str, str]:
        return self._names(2, 3, 4)

    def _names(self, *versions: int) -> dict[str, str]:
        releases = [self.releases[one] for one in versions]
        return {name: digest[7:] for one in releases for name, digest in one.sums().items()}

    def is_signed(self, storage: Storage) -> bool:
        """By gpg, with the keyring of a device."""
        pair = tuple(storage.read(name, limit=1 << 20) or b"" for name in (SIGNATURE, SUMS))
        if pair not in self.verified:
            paths = [self.directory / name for name in ("signature", "sums")]
            for path, data in zip(paths, pair, strict=True):
                path.write_bytes(data)
            try:
                keyring = self.directory / "keyring"
                self.programs("usr/bin/gpgv", "--keyring", keyring, *paths)
                self.verified[pair] = True
            except AssertionError:
                self.verified[pair] = False
        return self.verified[pair]


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Field:
    directory = tmp_path_factory.mktemp("publishing")
    (directory / "programs").mkdir()
    signer = make_signer(directory / "keys")
    (directory / "keyring").write_bytes(in_binary(signer.public))
    return Field(
        directory,
        signer,
        Programs(directory / "programs", store, "gpgv"),
        {one: make_release(directory / "files", one) for one in (1, 2, 3, 4)},
    )


def test_killed_between_any_two_operations_on_files(versions: Field, tmp_path: Path) -> None:
    before, channel = tmp_path / "before", tmp_path / "channel"
    for one in (1, 2, 3):
        publish_to(str(before), versions.releases[one], versions.signer)
    seen, moment, status = set(), 0, -signal.SIGKILL
    with Publisher(str(channel), versions.directory, 4) as publisher:
        while status == -signal.SIGKILL:
            moment += 1
            shutil.rmtree(channel, ignore_errors=True)
            shutil.copytree(before, channel, symlinks=True)
            publisher.start(moment)
            status = publisher.wait()
            found = versions_at(Directory(channel))
            assert found in (versions.old, versions.new), moment
            seen.add(found == versions.new)
            assert versions.is_signed(Directory(channel)), moment
            again = publish_to(str(channel), versions.releases[4], versions.signer)
            assert again.unchanged == (found == versions.new)
            assert versions_at(Directory(channel)) == versions.new
            held = expected_files(*(versions.releases[one] for one in (2, 3, 4)))
            assert files_at(channel) == held, moment
    assert status == 0
    assert seen == {True, False}
    assert moment > 50


def test_a_first_release_that_was_killed(versions: Field, tmp_path: Path) -> None:
    channel, moment, status = tmp_path / "channel", 0, -signal.SIGKILL
    with Publisher(str(channel), versions.directory, 1) as publisher:
        while status == -signal.SIGKILL:
            moment += 1
            shutil.rmtree(channel, ignore_errors=True)
            publisher.start(moment)
            status = publisher.wait()
            second = publish_to(str(channel), versions.releases[2], versions.signer)
            assert second.versions in ((2,), (2, 1)), moment
            held = expected_files(*(versions.releases[one] for one in second.versions))
            assert files_at(channel) == held, moment
    assert status == 0
    assert moment > 50


def test_killed_after_any_change_of_a_bucket(
    versions: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    with s3() as bucket:
        channel = f"s3://releases/gateway?endpoint={bucket.address}&scheme=http"
        for one in (1, 2, 3):
            publish_to(channel, versions.releases[one], versions.signer)
        before = dict(bucket.objects)
        unsigned, moment, status = [], 0, -signal.SIGKILL
        location = parse_location(channel, Path("/"))
        with Publisher(channel, versions.directory, 4) as publisher:
            while status == -signal.SIGKILL:
                moment += 1
                bucket.objects, bucket.changes = dict(before), []
                process = publisher.start()

                def kill(_: str, process: int = process, last: int = moment) -> None:
                    if len(bucket.changes) + 1 == last:
                        os.kill(process, signal.SIGKILL)

                bucket.before = kill
                status = publisher.wait()
                bucket.settle()
                bucket.before = lambda _: None
                with open_storage(location, Access()) as storage:
                    found = versions_at(storage)
                    assert found in (versions.old, versions.new), moment
                    if not versions.is_signed(storage):
                        unsigned.append(bucket.changes[-1])
                publish_to(channel, versions.releases[4], versions.signer)
                with open_storage(location, Access()) as storage:
                    assert versions_at(storage) == versions.new
                    assert versions.is_signed(storage)
                left = {path.rpartition("/")[2] for path in bucket.objects}
                left -= expected_files(*(versions.releases[one] for one in (2, 3, 4)))
                assert [name[:11] for name in left] == ["SHA256SUMS-"], moment
    assert status == 0
    # Between its two files there is one moment at which devices find them not to match.
    assert unsigned == [f"PUT /releases/gateway/{SIGNATURE}"]
    assert moment > 10
