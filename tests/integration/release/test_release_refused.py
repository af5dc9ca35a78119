"""What a channel does not take: versions, signers, lists and manifests that do not go together."""

import json
from pathlib import Path

import pytest

from osloom.base.errors import Error, FetchError
from osloom.keys.openpgp import ReleaseSigner
from osloom.release.checksums import SIGNATURE, SUMS
from osloom.release.journal import JOURNAL
from osloom.release.version import Release, Room
from support.publishing import (
    ID,
    grown,
    make_release,
    make_signer,
    publish_to,
    storage_at,
)
from support.s3 import S3, address


def test_what_is_refused_changes_nothing(tmp_path: Path, keys: Path, signer: ReleaseSigner) -> None:
    channel = tmp_path / "gateway"
    publish_to(str(channel), make_release(tmp_path / "files", 4), signer)

    def said(release: Release, signer: ReleaseSigner | None) -> tuple[str, str | None]:
        before = {one.name: one.read_bytes() for one in channel.iterdir() if one.is_file()}
        with pytest.raises(Error) as caught:
            publish_to(str(channel), release, signer)
        after = {one.name: one.read_bytes() for one in channel.iterdir() if one.is_file()}
        assert before == after
        return caught.value.message, caught.value.hint

    older = make_release(tmp_path / "files", 3)
    assert said(older, signer) == (
        (
            f"cannot release version 3 of `{ID}`: version 4 is published already,"
            " and devices do not go back"
        ),
        'set `version = "5"` in `[project]`',
    )
    other = make_release(tmp_path / "other", 4, salt="other")
    assert said(other, signer) == (
        f"cannot release version 4 of `{ID}`: it is published already, with other bytes",
        'set `version = "5"` in `[project]`',
    )
    newer = make_release(tmp_path / "files", 5)
    assert said(newer, None) == (
        (
            f"cannot publish to {channel} without a signature: it is signed,"
            " and its devices would refuse what is not"
        ),
        "name the release's key in `[keys]`, and leave `--unsigned` out",
    )
    untrusted = (
        f"cannot trust {channel}: the release's key has not signed its SHA256SUMS",
        (
            "somebody has changed it, or another key is named in `[keys]`;"
            " an empty channel begins anew"
        ),
    )
    assert said(newer, make_signer(keys / "foreign")) == untrusted
    # An attacker of the channel has a file of his own signed by nobody.
    with (channel / SUMS).open("ab") as file:
        file.write(f"{'0' * 64}  {ID}_3.efi\n".encode())
    assert said(newer, signer) == untrusted
    (channel / SIGNATURE).unlink()
    assert said(newer, signer) == (
        (
            f"cannot publish to {channel}: what it holds is not signed,"
            " and anyone may have put it there"
        ),
        "publish to an empty channel, or go on without a signature: `--unsigned`",
    )


@pytest.mark.parametrize("signed", [True, False])
def test_a_channel_whose_list_was_lost(tmp_path: Path, signer: ReleaseSigner, signed: bool) -> None:
    channel, own = tmp_path / "channel", signer if signed else None
    for version in (4, 5):
        publish_to(str(channel), make_release(tmp_path / "files", version), own)
    kept = (channel / SUMS).read_bytes()
    (channel / SUMS).unlink()
    # Of a later release that was cut off.
    (channel / JOURNAL).write_text(json.dumps({"files": [f"{ID}_6.json"]}))
    for dry_run in (True, False):
        with pytest.raises(FetchError) as caught:
            publish_to(str(channel), make_release(tmp_path / "files", 3), own, dry_run=dry_run)
        assert (caught.value.message, caught.value.hint) == (
            (
                f"cannot publish to {channel}: versions were released there, and the SHA256SUMS that"
                " names them is gone"
            ),
            (
                "put SHA256SUMS and SHA256SUMS.gpg back from a copy of the channel; an empty"
                " directory begins anew"
            ),
        )
    assert not (channel / f"{ID}_3.json").exists()
    (channel / SUMS).write_bytes(kept)
    made = publish_to(str(channel), make_release(tmp_path / "files", 6), own)
    assert made.versions == (6, 5, 4)


def test_a_bucket_whose_list_was_lost(tmp_path: Path, bucket: S3, signer: ReleaseSigner) -> None:
    """Nobody lists it: the signature tells."""
    publish_to(address(bucket), make_release(tmp_path, 4), signer)
    with storage_at(address(bucket)) as storage:
        storage.remove(SUMS)
    with pytest.raises(FetchError, match="the SHA256SUMS that names them is gone"):
        publish_to(address(bucket), make_release(tmp_path, 3), signer)


def test_what_no_older_device_has_room_for_is_not_published(tmp_path: Path) -> None:
    channel, large = tmp_path / "channel", Room(slot=1 << 30, esp=1 << 30)
    first = Room(slot=200_000, esp=1 << 30)
    publish_to(str(channel), make_release(tmp_path / "files", 1, room=first), None)
    # A version with larger slots; as a device of version 1 has it, and all after it.
    for _ in range(2):
        publish_to(str(channel), make_release(tmp_path / "files", 2, room=large), None)
        manifest = json.loads((channel / f"{ID}_2.json").read_bytes())
        assert manifest["room"] == {
            "slot": 200_000,
            "esp": 1 << 30,
            "signature": False,
            "secure_boot": None,
        }
    third = make_release(tmp_path / "files", 3, room=large)
    before = {one.name: one.read_bytes() for one in channel.iterdir() if one.is_file()}
    with pytest.raises(Error, match="would not fit into slots of 1 MiB"):
        publish_to(str(channel), grown(third), None)
    assert before == {one.name: one.read_bytes() for one in channel.iterdir() if one.is_file()}
    publish_to(str(channel), third, None)


@pytest.mark.parametrize("content", [None, '{"room": null}'])
def test_what_devices_have_room_for_is_not_forgotten(tmp_path: Path, content: str | None) -> None:
    channel, room = tmp_path / "channel", Room(slot=200_000, esp=1 << 30)
    first, second = (make_release(tmp_path / "files", one, room=room) for one in (1, 2))
    publish_to(str(channel), first, None)
    place = channel / first.manifest_name
    place.unlink()
    if content is not None:
        place.write_text(content)
    said = "is gone" if content is None else "is not the one that SHA256SUMS names"
    for release, dry_run in ((grown(second), False), (second, True), (second, False)):
        with pytest.raises(FetchError) as caught:
            publish_to(str(channel), release, None, dry_run=dry_run)
        assert (caught.value.message, caught.value.hint) == (
            (
                f"cannot publish to {channel}: {ID}_1.json {said}, and what devices have room for"
                " was in it"
            ),
            "put it back from a copy of the channel; an empty directory begins anew",
        )
    # Whoever has the same version again has its manifest.
    place.unlink(missing_ok=True)
    publish_to(str(channel), first, None)
    with pytest.raises(Error, match="would not fit into slots of 1 MiB"):
        publish_to(str(channel), grown(second), None)
    publish_to(str(channel), second, None)
