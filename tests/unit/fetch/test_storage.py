"""Addresses of storage, and requests to S3 as Amazon's own examples have them."""

import contextlib
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from osloom.base.errors import FetchError
from osloom.fetch.storage.access import Access
from osloom.fetch.storage.changed import ChangedError
from osloom.fetch.storage.directory import Directory
from osloom.fetch.storage.location import parse_location
from osloom.fetch.storage.signing import EMPTY, Signer, find_signer

HERE = Path("/project")


@pytest.mark.parametrize(
    ("text", "kind", "base"),
    [
        ("https://cache.example.com/", "web", "https://cache.example.com"),
        ("http://h:8080/a/b?priority=3", "web", "http://h:8080/a/b"),
        ("file:///srv/a%20cache?compression=none", "directory", "/srv/a cache"),
        ("file://cache", "directory", "/project/cache"),
        ("/srv/a?b", "directory", "/srv/a?b"),
        ("s3://nix", "s3", "https://nix.s3.us-east-1.amazonaws.com"),
        ("s3://nix/a/b?region=eu-west-1", "s3", "https://nix.s3.eu-west-1.amazonaws.com/a/b"),
        ("s3://nix.example.com", "s3", "https://s3.us-east-1.amazonaws.com/nix.example.com"),
        ("s3://nix?endpoint=h:9000&scheme=http", "s3", "http://h:9000/nix"),
        ("s3://nix/p?endpoint=https://h", "s3", "https://h/nix/p"),
    ],
)
def test_addresses(text: str, kind: str, base: str) -> None:
    found = parse_location(text, HERE)
    assert (found.kind, found.base) == (kind, base)
    assert found.below("gateway").base == f"{base}/gateway"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ftp://h", "cannot use the address `ftp://h`: `ftp` is of no kind that osloom knows"),
        ("https:///x", "cannot use the address `https:///x`: it names no host"),
        ("s3://?region=x", "cannot use the address `s3://?region=x`: it names no bucket"),
        (
            "http://u:se#cret@h",
            "cannot use the address `http://h`: its name and password make it none",
        ),
        ("ftp://u:se cret@h", "cannot use the address `ftp://h`: `ftp` is of no kind"),
        ("http://h:port", "cannot use the address `http://h:port`: Port could not be cast"),
        ("https://me:word@h/x", "cannot use an address of h with a name and password in it"),
    ],
)
def test_addresses_that_are_none(text: str, message: str) -> None:
    with pytest.raises(FetchError) as caught:
        parse_location(text, HERE)
    assert caught.value.message.startswith(message)
    assert "word" not in caught.value.message.removeprefix(message)


@pytest.mark.parametrize(
    ("query", "signature"),
    [
        ("lifecycle", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        (
            "max-keys=2&prefix=J",
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ],
)
def test_signatures_are_those_of_amazons_examples(query: str, signature: str) -> None:
    """API reference, Authenticating Requests: GET Bucket Lifecycle; Get Bucket (List Objects)."""
    signer = Signer(
        key="AKIAIOSFODNN7EXAMPLE",
        secret="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        region="us-east-1",
    )
    url = f"https://examplebucket.s3.amazonaws.com/?{query}"
    moment = datetime(2013, 5, 24, tzinfo=UTC)
    headers = signer.headers("GET", url, content=EMPTY, moment=moment)
    assert headers["authorization"] == (
        "AWS4-HMAC-SHA256 "
        "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
        f"SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature={signature}"
    )


def test_credentials(tmp_path: Path) -> None:
    path = tmp_path / "credentials"
    path.write_text(
        "[default]\naws_access_key_id = A\naws_secret_access_key = %b\n"
        "[ci]\naws_access_key_id = C\naws_secret_access_key = d\naws_session_token = e\n"
    )
    given = {"AWS_SHARED_CREDENTIALS_FILE": str(path)}
    bucket = parse_location("s3://nix?region=r", HERE)
    assert find_signer(bucket, given) == Signer(key="A", secret="%b", region="r")
    profile = parse_location("s3://nix?profile=ci", HERE)
    ci = Signer(key="C", secret="d", token="e", region="us-east-1")
    assert find_signer(profile, {**given, "AWS_ACCESS_KEY_ID": "X"}) == ci
    assert find_signer(bucket, {**given, "AWS_ACCESS_KEY_ID": "X"}) == Signer(
        key="X", secret="", region="r"
    )
    assert find_signer(bucket, {"HOME": str(tmp_path)}) is None
    with pytest.raises(FetchError, match="cannot find the profile `other`"):
        find_signer(parse_location("s3://nix?profile=other", HERE), given)


def test_a_directory_is_not_left(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    storage = Directory(tmp_path / "cache")
    for name in ("../secret", "/etc/passwd", "a/../../secret"):
        with pytest.raises(FetchError, match="leads out of it"):
            storage.read(name, limit=10)
    assert storage.read("absent", limit=10) is None
    storage.write("nar/one", b"more than ten", kind="")
    assert storage.size("nar/one") == 13
    with pytest.raises(FetchError, match="more than 10 bytes"):
        storage.read("nar/one", limit=10)


def test_what_a_killed_process_was_writing_is_removed_by_the_next(tmp_path: Path) -> None:
    """And nothing of one that is still writing."""

    def left() -> list[str]:
        return [path.name for path in tmp_path.rglob("*") if path.name.startswith(".")]

    script = (
        "import sys; from pathlib import Path\n"
        "from osloom.fetch.storage.directory import Directory\n"
        "one = Directory(Path(sys.argv[1])); one.write('nar/one', b'1', kind='')\n"
        "(place,) = Path(sys.argv[1]).glob('nar/.incoming-*')\n"
        "(place / '.half').write_bytes(b'1' * 4711)\n"
        "print('ready', flush=True); sys.stdin.read()\n"
    )
    words = [sys.executable, "-c", script, os.fspath(tmp_path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        storage = Directory(tmp_path)
        storage.write("nar/two", b"2", kind="")
        assert ".half" in left()
        process.kill()
        process.wait()
    storage.close()
    assert len(left()) == 2
    with contextlib.closing(Directory(tmp_path)) as other:
        other.write("nar/three", b"3", kind="")
    assert left() == []
    assert sorted(path.name for path in (tmp_path / "nar").iterdir()) == ["one", "three", "two"]


def test_files_that_change_together(tmp_path: Path) -> None:
    storage = Directory(tmp_path)
    # What was copied there by others is no link.
    (tmp_path / "sums").write_bytes(b"0")
    before: dict[str, bytes | None] = {"signature": None, "sums": b"0"}
    for number in (b"1", b"2", b"3"):
        files = {"signature": b"of " + number, "sums": number}
        storage.write_together(files, kind="", old=before)
        assert {name: storage.read(name, limit=10) for name in files} == files
        with pytest.raises(ChangedError):
            storage.write_together(files, kind="", old=before)
        before = {**files}
    (current,) = {(tmp_path / name).resolve().parent for name in files}
    # A reader may still be on its way into the one before; no other is kept.
    sets = [one for one in tmp_path.glob(".together-*") if not one.is_symlink()]
    assert len(sets) == 2
    assert current in sets


def test_a_file_is_replaced_only_as_it_was_read(tmp_path: Path) -> None:
    storage = Directory(tmp_path)
    storage.replace("a", b"1", kind="", old=None)
    with pytest.raises(ChangedError) as caught:
        storage.replace("a", b"2", kind="", old=None)
    assert caught.value.message == (
        f"cannot write {tmp_path}/a: another process has changed it meanwhile"
    )
    storage.replace("a", b"2", kind="", old=b"1")
    assert storage.read("a", limit=10) == b"2"
    storage.remove("a")
    storage.remove("a")
    assert storage.read("a", limit=10) is None


def test_names_and_passwords(tmp_path: Path) -> None:
    path = tmp_path / "netrc"
    path.write_text("machine h login me password word\n")
    assert Access(netrc=path).login("h") == ("me", "word")
    assert Access(netrc=path).login("other") is None
    assert Access(netrc=tmp_path / "absent").login("h") is None
    path.write_text("machin h\n")
    with pytest.raises(FetchError, match=r"cannot read names and passwords in .*/netrc: bad"):
        Access(netrc=path).login("h")
