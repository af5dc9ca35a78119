"""Which version may follow which, and what a channel then holds."""

import json
from pathlib import Path

import pytest

from osloom.base.digest import Digest, digest_bytes
from osloom.base.errors import Error, FetchError, UsageError
from osloom.release.checksums import format_sums, parse_sums, version_of
from osloom.release.succession import check_number, succeed
from osloom.release.version import Release, ReleaseFile, ReleasePackage

ID = "edge-gateway"


def release(version: int | str, content: str = "", *more: str, commit: str = "c") -> Release:
    names = (f"{ID}_{version}_{'0123abcd' * 4}.root", f"{ID}_{version}.efi", *more)
    return Release(
        id=ID,
        version=str(version),
        epoch=1,
        commit=commit,
        files=tuple(
            ReleaseFile(
                name=name,
                path=Path("/absent"),
                digest=digest_bytes(f"{content or version} {name}".encode()),
                size=10,
            )
            for name in names
        ),
        packages=(
            ReleasePackage(name="zlib1g", version="1", source="zlib"),
            ReleasePackage(name="bash", version="2", source="bash"),
        ),
    )


def channel(*versions: int) -> dict[str, Digest]:
    return {name: digest for one in versions for name, digest in release(one).sums().items()}


def test_the_newest_versions_stay() -> None:
    after = succeed(channel(1, 2, 3), release(4), keep=3)
    assert after.sums == channel(2, 3, 4)
    assert after.dropped == tuple(sorted(release(1).sums()))
    assert (after.versions, after.unchanged) == ((4, 3, 2), False)
    assert succeed(channel(1, 2), release(9), keep=1).sums == channel(9)
    assert succeed({}, release(1), keep=3).sums == channel(1)


def test_versions_are_numbers_and_not_texts() -> None:
    assert succeed(channel(8, 9), release(10), keep=2).versions == (10, 9)


def test_the_same_release_changes_nothing() -> None:
    for number in (1, 2):
        after = succeed(channel(1, 2), release(number), keep=1)
        assert (after.sums, after.dropped) == (channel(1, 2), ())
        assert (after.versions, after.unchanged) == ((2, 1), True)
    # Of another commit that made the same files: what is published stays.
    after = succeed(channel(1), release(1, commit="d"), keep=1)
    assert (after.sums, after.unchanged) == (channel(1), True)


def test_a_version_is_not_used_for_other_bytes() -> None:
    with pytest.raises(Error) as caught:
        succeed(channel(1, 2), release(2, "other"), keep=3)
    assert caught.value.message == (
        "cannot release version 2 of `edge-gateway`: it is published already, with other bytes"
    )
    assert caught.value.hint == 'set `version = "3"` in `[project]`'
    assert caught.value.detail.splitlines()[0] == "differs: edge-gateway_2.efi"
    # Nor when a file is added to it.
    with pytest.raises(Error) as caught:
        succeed(channel(1), release(1, "", f"{ID}_1.raw.zst"), keep=3)
    assert "differs: edge-gateway_1.raw.zst" in caught.value.detail


def test_devices_do_not_go_back() -> None:
    with pytest.raises(Error) as caught:
        succeed(channel(4, 7), release(6), keep=3)
    assert caught.value.message == (
        "cannot release version 6 of `edge-gateway`: "
        "version 7 is published already, and devices do not go back"
    )
    assert caught.value.hint == 'set `version = "8"` in `[project]`'
    check_number(ID, 7, 7)
    with pytest.raises(Error):
        check_number(ID, 6, 7)


def test_what_others_have_put_there_stays() -> None:
    others = {"README": digest_bytes(b"x"), "tool_3.raw": digest_bytes(b"y")}
    own = release(4, "", "tool_3.raw")
    with pytest.raises(Error) as caught:
        succeed({**channel(3), **others}, own, keep=1)
    assert caught.value.detail == "differs: tool_3.raw"
    same = {**others, "tool_3.raw": own.sums()["tool_3.raw"]}
    after = succeed({**channel(3), **same}, own, keep=1)
    assert after.sums == {**own.sums(), "README": others["README"]}


@pytest.mark.parametrize("version", ["1.2", "0", "007", "", "x", "-1", "9" * 19])
def test_a_version_is_a_whole_number(version: str) -> None:
    with pytest.raises(UsageError) as caught:
        _ = release(version).number
    assert caught.value.message == (
        f"cannot release `{ID}` as version `{version}`: it is not a whole number from 1 on"
    )


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("edge-gateway_7.efi", 7),
        ("edge-gateway_7_0123abcd.root", 7),
        ("edge-gateway_10.raw.zst", 10),
        ("edge-gateway_7", 7),
        ("edge_2_x-other_7.efi", 7),
        ("edge-gateway_07.efi", None),
        ("edge-gateway_7x.efi", None),
        ("SHA256SUMS", None),
    ],
)
def test_versions_in_names(name: str, version: int | None) -> None:
    assert version_of(name, ID) == version


def test_an_id_may_look_like_a_version() -> None:
    assert version_of("a_3-b_7.efi", "a_3-b") == 7
    assert version_of("a_3_b_7_8.root", "a_3_b") == 7


def test_sums_are_those_of_sha256sum() -> None:
    sums = channel(10, 9)
    text = format_sums(sums, ID)
    assert parse_sums(text, where="x") == sums
    assert [line.split()[1] for line in text.decode().splitlines()] == [
        *sorted(channel(9)),
        *sorted(channel(10)),
    ]
    digest = "0" * 64
    assert parse_sums(f"{digest} *a\n".encode(), where="x") == {"a": f"sha256:{digest}"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x", "it is no line of sha256sum(1) (line 1)"),
        (f"{'0' * 64}  ../x", "it is no line of sha256sum(1) (line 1)"),
        (f"{'0' * 64}  .x", "it is no line of sha256sum(1) (line 1)"),
        (f"{'0' * 64}  a\n{'1' * 64}  a", "it names a file twice (line 2)"),
    ],
)
def test_sums_that_are_none(text: str, said: str) -> None:
    with pytest.raises(FetchError) as caught:
        parse_sums(text.encode(), where="the channel")
    assert caught.value.message == f"cannot use the channel: {said}"


def test_the_manifest() -> None:
    assert json.loads(release(7).manifest()) == {
        "id": ID,
        "version": "7",
        "epoch": 1,
        "commit": "c",
        "size": 20,
        "files": [
            {"name": file.name, "size": 10, "sha256": file.digest.removeprefix("sha256:")}
            for file in sorted(release(7).files, key=lambda file: file.name)
        ],
        "packages": [
            {"name": "bash", "version": "2", "source": "bash"},
            {"name": "zlib1g", "version": "1", "source": "zlib"},
        ],
    }
    assert release(7).manifest() == release(7).manifest()
