"""Releases into channels that others run: directories, WebDAV, S3; checked by gpg."""

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from osloom.base.errors import Error
from osloom.engine.tools import start_from
from osloom.keys.openpgp import ReleaseSigner
from osloom.release.checksums import SIGNATURE, SUMS
from osloom.release.journal import JOURNAL
from support.programs import Programs
from support.publishing import (
    ID,
    Gpg,
    expected_files,
    files_at,
    make_release,
    publish_to,
    storage_at,
    versions_at,
)
from support.s3 import S3, address, names_at
from support.webdav import WebDav


@pytest.mark.parametrize("kind", ["directory", "webdav", "s3"])
def test_versions_one_after_the_other(
    kind: str,
    tmp_path: Path,
    webdav: WebDav,
    bucket: S3,
    signer: ReleaseSigner,
    gpg: Gpg,
) -> None:
    channel = {
        "directory": str(tmp_path / "channel/gateway"),
        "webdav": f"{webdav.url}/one/gateway",
        "s3": address(bucket),
    }[kind]
    releases = [make_release(tmp_path / "files", one) for one in range(1, 6)]
    with storage_at(channel) as storage:
        for number, release in enumerate(releases, 1):
            planned = publish_to(channel, release, signer, dry_run=True)
            made = publish_to(channel, release, signer)
            assert (made.versions[0], made.unchanged, made.signed) == (number, False, True)
            assert all(file.sent for file in made.files)
            assert {*planned.removed} <= {*made.removed}
            gpg(storage, tmp_path)
            held = releases[max(0, number - 3) : number]
            digests = {name: one[7:] for release in held for name, one in release.sums().items()}
            assert versions_at(storage) == digests
        again = publish_to(channel, releases[-1], signer)
        assert (again.unchanged, again.sent, again.removed) == (True, 0, ())
        # What is gone from the channel comes back.
        lost = releases[-1].files[0].name
        storage.remove(lost)
        again = publish_to(channel, releases[-1], signer)
        assert [file.name for file in again.files if file.sent] == [lost]
        assert versions_at(storage)
    # Nothing is left that is not named, but for where a signature is twice.
    there = {
        "directory": lambda: files_at(tmp_path / "channel/gateway"),
        "webdav": lambda: {one.name for one in (webdav.root / "one/gateway").iterdir()},
        "s3": lambda: names_at(bucket),
    }[kind]()
    more = there - expected_files(*releases[2:])
    assert len(more) == (0 if kind == "directory" else 1)
    assert all(name.startswith("SHA256SUMS-") for name in more)


def test_sha256sum_and_the_manifest(
    tmp_path: Path, signer: ReleaseSigner, programs: Programs
) -> None:
    release = make_release(tmp_path / "files", 7)
    publish_to(str(tmp_path / "channel"), release, signer)
    program = start_from(programs.root, "usr/bin/sha256sum")
    done = subprocess.run([*program, "-c", "--strict", SUMS], cwd=tmp_path / "channel", check=False)
    assert done.returncode == 0
    manifest = json.loads((tmp_path / f"channel/{ID}_7.json").read_text())
    assert manifest["version"] == "7"
    for file in manifest["files"]:
        data = (tmp_path / "channel" / file["name"]).read_bytes()
        assert (file["size"], file["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())


def test_content_is_there_before_what_names_it(
    tmp_path: Path, webdav: WebDav, signer: ReleaseSigner
) -> None:
    channel = f"{webdav.url}/order/gateway"
    webdav.changes()
    publish_to(channel, make_release(tmp_path, 1), signer, keep=1)
    webdav.changes()
    second = make_release(tmp_path, 2)
    publish_to(channel, second, signer, keep=1)
    lines = [line.split()[:2] for line in webdav.changes()]
    names = [(method, path.rpartition("/")[2]) for method, path in lines]
    announced = names.index(("PUT", SUMS))
    assert names[announced - 1] == ("PUT", SIGNATURE)
    assert names[0] == ("PUT", JOURNAL)
    assert names[1] == ("PUT", second.manifest_name)
    sent = {name for method, name in names[:announced] if method == "PUT"}
    assert {*second.sums()} <= sent
    assert {method for method, _ in names[announced + 1 :]} == {"DELETE"}
    assert names[-1] == ("DELETE", JOURNAL)


def test_a_damaged_file_is_not_published(tmp_path: Path, signer: ReleaseSigner) -> None:
    release = make_release(tmp_path / "files", 1)
    with release.files[0].path.open("r+b") as file:
        file.write(b"x")
    with pytest.raises(Error, match="it is damaged"):
        publish_to(str(tmp_path / "channel"), release, signer)
    assert not (tmp_path / "channel" / SUMS).exists()


def test_channels_without_signatures(tmp_path: Path) -> None:
    channel = str(tmp_path / "channel")
    made = publish_to(channel, make_release(tmp_path / "files", 1), None)
    assert not made.signed
    publish_to(channel, make_release(tmp_path / "files", 2), None)
    assert not (tmp_path / "channel" / SIGNATURE).exists()
    with storage_at(channel) as storage:
        assert versions_at(storage)
