"""What a release has left over is removed by the next one, and nothing else is."""

import json
from pathlib import Path

from osloom.keys.openpgp import ReleaseSigner
from osloom.release.checksums import SIGNATURE, SUMS
from osloom.release.journal import JOURNAL
from support.publishing import (
    ID,
    expected_files,
    files_at,
    make_release,
    publish_to,
    storage_at,
    versions_at,
)
from support.s3 import S3, address, names_at
from support.webdav import WebDav


def test_a_journal_decides_about_old_files_of_releases_alone(
    tmp_path: Path, webdav: WebDav, signer: ReleaseSigner
) -> None:
    """Whoever can write to the channel could write it."""
    channel = f"{webdav.url}/hostile/gateway"
    publish_to(channel, make_release(tmp_path, 1), signer)
    place = webdav.root / "hostile/gateway"
    kept = ("other", "gateway/index.html", f"gateway/{ID}_9.efi", "gateway/.htaccess")
    for name in (*kept, f"gateway/{ID}_1.lost"):
        (place.parent / name).write_text("x")
    names = ["../other", "%2e%2e/other", "..%2fother", "index.html", ".htaccess"]
    names += [f"{ID}_9.efi", f"{ID}_1.lost", SUMS, SIGNATURE, f"{ID}_1.efi"]
    (place / JOURNAL).write_text(json.dumps({"files": names}))
    made = publish_to(channel, make_release(tmp_path, 2), signer)
    assert f"{ID}_1.lost" in made.removed
    assert all((place.parent / name).exists() for name in kept)
    with storage_at(channel) as storage:
        assert len(versions_at(storage)) == 8
    # One that is none is none.
    (place / JOURNAL).write_text("{")
    assert publish_to(channel, make_release(tmp_path, 3), signer).versions == (3, 2, 1)


def test_what_was_removed_was_there(tmp_path: Path, signer: ReleaseSigner) -> None:
    channel = tmp_path / "channel"
    for version in (1, 2):
        made = publish_to(str(channel), make_release(tmp_path, version), signer)
        assert made.removed == ()
    left = f"{ID}_1.lost"
    (channel / left).write_text("x")
    (channel / JOURNAL).write_text(json.dumps({"files": [left, f"{ID}_1.absent"]}))
    made = publish_to(str(channel), make_release(tmp_path, 3), signer, keep=2)
    assert made.removed == tuple(sorted([left, *make_release(tmp_path, 1).sums()]))
    assert not (channel / JOURNAL).exists()


def test_what_a_later_version_left_over_is_remembered(
    tmp_path: Path, signer: ReleaseSigner
) -> None:
    """A release of the version before it, which is unchanged, comes between."""
    channel, second = tmp_path / "channel", make_release(tmp_path, 2)
    publish_to(str(channel), second, signer)
    left = f"{ID}_3.efi"
    (channel / left).write_text("x")
    (channel / JOURNAL).write_text(json.dumps({"files": [left, f"{ID}_1.efi"]}))
    assert publish_to(str(channel), second, signer).unchanged
    assert (channel / left).exists()
    assert json.loads((channel / JOURNAL).read_text()) == {"files": [left]}
    fourth = make_release(tmp_path, 4)
    assert publish_to(str(channel), fourth, signer).removed == (left,)
    assert files_at(channel) == expected_files(second, fourth)


def test_old_files_that_cannot_be_removed(
    tmp_path: Path, bucket: S3, signer: ReleaseSigner
) -> None:
    """The release is out all the same, and the next one removes them."""
    channel = address(bucket)
    publish_to(channel, make_release(tmp_path, 1), signer, keep=1)
    bucket.forbidden = "DELETE"
    made = publish_to(channel, make_release(tmp_path, 2), signer, keep=1)
    place = f"http://{bucket.address}/releases/gateway"
    (note,) = made.notes
    assert note.startswith(f"cannot remove {place}/SHA256SUMS-")
    assert note.endswith(".gpg: it answers with status 403; the next release tries again")
    assert (made.removed, made.versions) == ((), (2,))
    bucket.forbidden = ""
    third = make_release(tmp_path, 3)
    made = publish_to(channel, third, signer, keep=1)
    assert names_at(bucket) - expected_files(third) == {
        name for name in names_at(bucket) if name.startswith("SHA256SUMS-")
    }
    assert len(names_at(bucket)) == len(expected_files(third)) + 1
