"""Two that publish at once: one of them wins, and the other says so."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from osloom.base.errors import Error, FetchError
from osloom.keys.openpgp import ReleaseSigner
from osloom.release.checksums import SIGNATURE, SUMS
from support.publishing import (
    Gpg,
    make_release,
    publish_to,
    storage_at,
    versions_at,
)
from support.s3 import S3, address


def test_two_at_once_in_a_directory(tmp_path: Path, signer: ReleaseSigner) -> None:
    channel = str(tmp_path / "channel")
    first, second = (make_release(tmp_path / "files", one) for one in (1, 2))
    with storage_at(channel) as storage, storage.hold(), pytest.raises(FetchError) as caught:
        publish_to(channel, first, signer)
    assert (caught.value.message, caught.value.hint) == (
        f"cannot write to {channel}: another process is writing to it",
        "wait until it has ended, and run this again",
    )
    publish_to(channel, second, signer)


def at(bucket: S3, change: str, do: Callable[[], object]) -> None:
    """Do something once, just before the first change of that name is done."""
    done = threading.Event()

    def before(one: str) -> None:
        if one.endswith(change) and not done.is_set():
            done.set()
            do()

    bucket.before = before


def test_two_versions_at_once_in_a_bucket(
    tmp_path: Path, bucket: S3, signer: ReleaseSigner, gpg: Gpg
) -> None:
    """One wins, the other says so; whichever of the two files they meet at."""
    for number, change in ((1, SIGNATURE), (11, f"/{SUMS}")):
        first, second, third = (make_release(tmp_path / "files", number + one) for one in range(3))
        channel = address(bucket, f"at-{number}")
        publish_to(channel, first, signer)
        at(bucket, f"at-{number}/{change.strip('/')}", lambda: publish_to(channel, third, signer))  # noqa: B023
        with pytest.raises(FetchError) as caught:
            publish_to(channel, second, signer)
        assert (caught.value.message, caught.value.hint) == (
            (
                f"cannot release version {number + 1} to s3://releases/at-{number}:"
                " somebody else has published to it meanwhile"
            ),
            "run this again: it goes on from what is there now",
        )
        with storage_at(channel) as storage:
            gpg(storage, tmp_path)
            wanted = {**first.sums(), **third.sums()}
            assert versions_at(storage) == {name: one[7:] for name, one in wanted.items()}
        with pytest.raises(Error, match="devices do not go back"):
            publish_to(channel, second, signer)


def test_one_version_twice_at_once(
    tmp_path: Path, bucket: S3, signer: ReleaseSigner, gpg: Gpg
) -> None:
    channel = address(bucket)
    one, other = (make_release(tmp_path / salt, 1, salt=salt) for salt in ("a", "b"))
    at(bucket, one.manifest_name, lambda: publish_to(channel, other, signer))
    with pytest.raises(FetchError) as caught:
        publish_to(channel, one, signer)
    assert caught.value.message == (
        "cannot release version 1 to s3://releases/gateway: a release of it with other bytes has"
        " begun"
    )
    with storage_at(channel) as storage:
        gpg(storage, tmp_path)
        assert versions_at(storage) == {name: digest[7:] for name, digest in other.sums().items()}
