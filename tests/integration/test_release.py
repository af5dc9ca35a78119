"""Releases into channels that others run: directories, WebDAV, S3; checked by gpg."""

import contextlib
import hashlib
import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from osloom.base.errors import Error, FetchError
from osloom.engine.tools import start_from
from osloom.fetch.storage.access import Access
from osloom.fetch.storage.location import parse_location
from osloom.fetch.storage.storage import Storage, open_storage
from osloom.keys.openpgp import ReleaseSigner
from osloom.keys.sign import keyring as in_binary
from osloom.release.checksums import SIGNATURE, SUMS
from osloom.release.journal import JOURNAL
from osloom.release.version import Release, Room
from support.programs import Programs
from support.publishing import (
    ID,
    expected_files,
    files_at,
    grown,
    make_release,
    make_signer,
    publish_to,
    versions_at,
)
from support.s3 import KEY, S3, SECRET, s3


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Programs:
    return Programs(
        tmp_path_factory.mktemp("release-programs"), store, "gpgv", "nginx", "coreutils"
    )


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


@pytest.fixture(scope="module")
def signer(keys: Path) -> ReleaseSigner:
    return make_signer(keys / "own")


@dataclass
class Gpg:
    """Verifies as systemd-pull has it done: by the keyring of the device."""

    programs: Programs
    keyring: Path

    def __call__(self, storage: Storage, directory: Path) -> None:
        for name in (SUMS, SIGNATURE):
            data = storage.read(name, limit=1 << 20)
            assert data is not None
            (directory / name).write_bytes(data)
        pair = (directory / SIGNATURE, directory / SUMS)
        self.programs("usr/bin/gpgv", "--keyring", self.keyring, *pair)


@pytest.fixture(scope="module")
def gpg(programs: Programs, keys: Path, signer: ReleaseSigner) -> Gpg:
    keyring = keys / "import-pubring.gpg"
    keyring.write_bytes(in_binary(signer.public))
    return Gpg(programs, keyring)


@dataclass
class WebDav:
    """nginx that takes PUT, DELETE and MKCOL below a directory."""

    root: Path
    url: str
    log: Path
    seen: int = field(default=0)

    def changes(self) -> list[str]:
        """Since the last call: `METHOD PATH STATUS`."""
        # The server writes a request down after its answer, and before it begins with another.
        httpx.get(self.url)
        lines = self.log.read_text().splitlines()
        new, self.seen = lines[self.seen :], len(lines)
        return [line for line in new if line.split()[0] in ("PUT", "DELETE", "MKCOL")]


@pytest.fixture(scope="module")
def webdav(tmp_path_factory: pytest.TempPathFactory, programs: Programs) -> Iterator[WebDav]:
    prefix = tmp_path_factory.mktemp("webdav")
    (prefix / "files").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as one:
        port = one.getsockname()[1]
    temporary = "".join(
        f"{name}_temp_path temporary;\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (prefix / "nginx.conf").write_text(
        f"{'user root;' if os.getuid() == 0 else ''} daemon off; pid nginx.pid;\n"
        "error_log error.log; events {}\n"
        "http { log_format plain '$request_method $uri $status'; access_log access.log plain;\n"
        f"{temporary} client_max_body_size 0;\n"
        f"server {{ listen 127.0.0.1:{port}; root {prefix}/files;\n"
        "dav_methods PUT DELETE MKCOL; } }\n"
    )
    server = subprocess.Popen(
        [
            *start_from(programs.root, "usr/sbin/nginx"),
            *("-p", f"{prefix}/", "-c", f"{prefix}/nginx.conf", "-e", f"{prefix}/error.log"),
        ]
    )
    try:
        while True:
            assert server.poll() is None, (prefix / "error.log").read_text()
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.05)
        yield WebDav(prefix / "files", f"http://127.0.0.1:{port}", prefix / "access.log")
    finally:
        server.terminate()
        server.wait()


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    with s3() as server:
        yield server


def address(bucket: S3, prefix: str = "gateway") -> str:
    return f"s3://releases/{prefix}?endpoint={bucket.address}&scheme=http"


@contextlib.contextmanager
def storage_at(channel: str) -> Iterator[Storage]:
    with open_storage(parse_location(channel, Path("/")), Access()) as storage:
        yield storage


def names_at(bucket: S3) -> set[str]:
    return {path.rpartition("/")[2] for path in bucket.objects}


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
