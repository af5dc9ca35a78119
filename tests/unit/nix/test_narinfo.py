"""What binary caches say: a real one whole, and what no cache should say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osloom.base.digest import Digest
from osloom.base.errors import FetchError
from osloom.model.closure import StorePath
from osloom.model.nix32 import parse_hash
from osloom.sources.nix.narinfo import MOST, NarInfo, format_narinfo, parse_narinfo, to_store_path
from support.nar import NAME

WHERE = "https://cache.example.com/syd87l2rxw8cbsxmxl853h0r6pdwhwjr.narinfo"
CURL = """\
StorePath: /nix/store/syd87l2rxw8cbsxmxl853h0r6pdwhwjr-curl-7.82.0-bin
URL: nar/05ra3y72i3qjri7xskf9qj8kb29r6naqy1sqpbs3azi3xcigmj56.nar.xz
Compression: xz
FileHash: sha256:05ra3y72i3qjri7xskf9qj8kb29r6naqy1sqpbs3azi3xcigmj56
FileSize: 68852
NarHash: sha256:1b4sb93wp679q4zx9k1ignby1yna3z7c4c2ri3wphylbc2dwsys0
NarSize: 196040
References: 0jqd0rlxzra1rs38rdxl43yh6rxchgc6-curl-7.82.0 6w8g7njm4mck5dmjxws0z1xnrxvl81xa-glibc-2.34-115 j5jxw3iy7bbz4a57fh9g2xm2gxmyal8h-zlib-1.2.12 yxvjs9drzsphm9pcf42a4byzj1kb9m7k-openssl-1.1.1n
Deriver: 5rwxzi7pal3qhpsyfc16gzkh939q1np6-curl-7.82.0.drv
Sig: cache.nixos.org-1:TsTTb3WGTZKphvYdBHXwo6weVILmTytUjLB+vcX89fOjjRicCHmKA4RCPMVLkj6TMJ4GMX3HPVWRdD1hkeKZBQ==
Sig: test1:519iiVLx/c4Rdt5DNt6Y2Jm6hcWE9+XY69ygiWSZCNGVcmOcyL64uVAJ3cV8vaTusIZdbTnYo9Y7vDNeTmmMBQ==
"""
"""What cache.nixos.org says of curl 7.82.0, signed once more."""

INFO = NarInfo(
    name="syd87l2rxw8cbsxmxl853h0r6pdwhwjr-curl-7.82.0-bin",
    url="nar/05ra3y72i3qjri7xskf9qj8kb29r6naqy1sqpbs3azi3xcigmj56.nar.xz",
    compression="xz",
    file_hash=parse_hash("sha256:05ra3y72i3qjri7xskf9qj8kb29r6naqy1sqpbs3azi3xcigmj56"),
    file_size=68852,
    nar_hash=parse_hash("sha256:1b4sb93wp679q4zx9k1ignby1yna3z7c4c2ri3wphylbc2dwsys0"),
    nar_size=196040,
    references=(
        "0jqd0rlxzra1rs38rdxl43yh6rxchgc6-curl-7.82.0",
        "6w8g7njm4mck5dmjxws0z1xnrxvl81xa-glibc-2.34-115",
        "j5jxw3iy7bbz4a57fh9g2xm2gxmyal8h-zlib-1.2.12",
        "yxvjs9drzsphm9pcf42a4byzj1kb9m7k-openssl-1.1.1n",
    ),
    deriver="5rwxzi7pal3qhpsyfc16gzkh939q1np6-curl-7.82.0.drv",
    signatures=(
        "cache.nixos.org-1:TsTTb3WGTZKphvYdBHXwo6weVILmTytUjLB+vcX89fOjjRicCHmKA4RCPMVLkj6TMJ4GMX3HPVWRdD1hkeKZBQ==",
        "test1:519iiVLx/c4Rdt5DNt6Y2Jm6hcWE9+XY69ygiWSZCNGVcmOcyL64uVAJ3cV8vaTusIZdbTnYo9Y7vDNeTmmMBQ==",
    ),
)


def parse(text: str, wanted: str | None = None) -> NarInfo:
    return parse_narinfo(text.encode(), where=WHERE, wanted=wanted)


def test_a_real_one() -> None:
    assert parse(CURL, INFO.name) == INFO
    assert format_narinfo(INFO) == CURL


def test_what_the_lock_keeps_of_it() -> None:
    assert to_store_path(INFO, caches=("https://cache.example.com",)) == StorePath(
        name=INFO.name,
        nar_hash=INFO.nar_hash,
        nar_size=196040,
        references=INFO.references,
        deriver=INFO.deriver,
        signatures=INFO.signatures,
        caches=("https://cache.example.com",),
    )


LEAST = f"""\
StorePath: /nix/store/{NAME}
URL: nar/x.nar
NarHash: sha256:{"0" * 52}
NarSize: 1
References: 
"""  # noqa: W291  (as Nix writes it)


def test_the_least_and_what_nix_takes_for_the_rest() -> None:
    assert parse(LEAST + "Deriver: unknown-deriver\nColour: blue\nColour: red\n") == NarInfo(
        name=NAME, url="nar/x.nar", nar_hash=Digest("sha256:" + "0" * 64), nar_size=1
    )
    assert parse(LEAST).compression == "bzip2"
    for same in ("References:\n", "", "References: \nFileSize: 0\n"):
        assert parse(LEAST.replace("References: \n", same)) == parse(LEAST)


def test_a_field_of_every_kind() -> None:
    text = LEAST.replace(
        "References: \n", f"References: {NAME}\nSystem: x86_64-linux\nCA: text:sha256:{'0' * 52}\n"
    )
    info = parse(text)
    assert info.references == (NAME,)
    assert info.system == "x86_64-linux"
    assert info.content_address == f"text:sha256:{'0' * 52}"
    assert parse(format_narinfo(info)) == info


@pytest.mark.parametrize("field", ["StorePath", "URL", "NarHash", "NarSize"])
def test_a_field_that_is_missing(field: str) -> None:
    lines = [line for line in LEAST.splitlines() if not line.startswith(field)]
    assert refusal("\n".join(lines) + "\n") == f"`{field}` is not in it"


@pytest.mark.parametrize(
    "field",
    [
        *("StorePath", "URL", "Compression", "FileHash", "FileSize", "NarHash", "NarSize"),
        *("References", "Deriver"),
    ],
)
def test_a_field_that_is_there_twice(field: str) -> None:
    line = next(line for line in CURL.splitlines() if line.startswith(field))
    assert refusal(f"{CURL}{line}\n") == f"`{field}` is in it twice"


def refusal(text: str | bytes, wanted: str | None = None) -> str:
    data = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(FetchError) as caught:
        parse_narinfo(data, where=WHERE, wanted=wanted)
    start = f"cannot use {WHERE}: "
    assert caught.value.message.startswith(start)
    assert caught.value.hint is not None
    return caught.value.message.removeprefix(start)


def changed(field: str, value: str) -> str:
    lines = [
        f"{field}: {value}" if line.startswith(f"{field}:") else line for line in CURL.splitlines()
    ]
    return "\n".join(lines) + "\n"


PATH = "/nix/store/" + INFO.name
NO_NUMBER = "which is no number of bytes up to 1 TiB"
NO_URL = "neither below the cache nor an address of http or https"
NOT_BELOW = "it is not directly below /nix/store"
NO_PATH = "it does not start with 32 digits and `-`"


@pytest.mark.parametrize(
    ("field", "value", "cause"),
    [
        (
            "StorePath",
            f"/gnu/store/{INFO.name}",
            f"`StorePath` is `/gnu/store/{INFO.name}`, of another store than /nix/store",
        ),
        ("StorePath", INFO.name, f"`StorePath` is `{INFO.name}`, which is no path"),
        (
            "StorePath",
            "/nix/store/../etc",
            f"`StorePath`: cannot use `/nix/store/../etc` as a store path: {NOT_BELOW}",
        ),
        (
            "StorePath",
            "/nix/store/x",
            f"`StorePath`: cannot use `/nix/store/x` as a store path: {NO_PATH}",
        ),
        ("FileSize", "-1", f"`FileSize` is `-1`, {NO_NUMBER}"),
        ("FileSize", "00", f"`FileSize` is `00`, {NO_NUMBER}"),
        ("NarSize", "0", f"`NarSize` is `0`, {NO_NUMBER}"),
        ("NarSize", "", f"`NarSize` is ``, {NO_NUMBER}"),
        ("NarSize", "1e9", f"`NarSize` is `1e9`, {NO_NUMBER}"),
        ("NarSize", "1_000", f"`NarSize` is `1_000`, {NO_NUMBER}"),
        ("NarSize", " 12", f"`NarSize` is ` 12`, {NO_NUMBER}"),
        ("NarSize", "9" * 5000, f"`NarSize` is `{'9' * 40}`, {NO_NUMBER}"),
        ("NarSize", "1099511627777", f"`NarSize` is `1099511627777`, {NO_NUMBER}"),
        ("NarHash", "", "`NarHash` is ``: it is not `sha256:` and a digest"),
        ("NarHash", "sha256:0", "`NarHash` is `sha256:0`: it is not a digest of SHA-256"),
        ("NarHash", "md5:00", "`NarHash` is `md5:00`: it is not `sha256:` and a digest"),
        (
            "NarHash",
            "sha256:" + "e" * 52,
            f"`NarHash` is `sha256:{'e' * 52}`: 'e' is not a digit of Nix's base 32",
        ),
        ("FileHash", "sha512:0", "`FileHash` is `sha512:0`: it is not `sha256:` and a digest"),
        ("URL", "", f"`URL` is ``, {NO_URL}"),
        ("URL", "/etc/shadow", f"`URL` is `/etc/shadow`, {NO_URL}"),
        ("URL", "file:///etc/shadow", f"`URL` is `file:///etc/shadow`, {NO_URL}"),
        ("URL", "nar/../../x", f"`URL` is `nar/../../x`, {NO_URL}"),
        ("URL", "nar/a b", f"`URL` is `nar/a b`, {NO_URL}"),
        ("References", "a", f"`References`: cannot use `a` as a store path: {NO_PATH}"),
        (
            "References",
            PATH,
            f"`References` has `{PATH}`, which is no base name of a store path",
        ),
        ("References", f"{NAME} {NAME}", "`References` names a path twice"),
        ("Deriver", "x", f"`Deriver`: cannot use `x` as a store path: {NO_PATH}"),
    ],
    ids=str,
)
def test_a_field_with_a_wrong_value(field: str, value: str, cause: str) -> None:
    assert refusal(changed(field, value)) == cause


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "line 1 is not `Name: value`"),
        ("\n", "line 1 is not `Name: value`"),
        ("Not Found", "line 1 is not `Name: value`"),
        (CURL + "\n", "line 12 is not `Name: value`"),
        (CURL.replace(": ", ":"), "line 1 is not `Name: value`"),
        (CURL.replace("\n", "\r\n"), "it holds control characters"),
        (CURL + "X: \0\n", "it holds control characters"),
        (CURL + "X: \x1b[2J\n", "it holds control characters"),
        (CURL.encode() + b"X: \xff\n", "it holds bytes that are not ASCII"),
        ("<!DOCTYPE html><html>", "it is a web page"),
        ("\n  <html>", "it is a web page"),
        (CURL + "X: " + "x" * MOST, f"it has {len(CURL) + 3 + MOST} bytes, and none needs more than {MOST}"),
        (CURL + "CA: 1\n", "`CA`: cannot use the content address `1`: it is of no kind that osloom knows"),
    ],
)  # fmt: skip
def test_a_text_that_is_none(text: str | bytes, cause: str) -> None:
    assert refusal(text) == cause


def test_another_path_than_was_asked_for() -> None:
    assert refusal(CURL, NAME) == f"it is of {PATH}, and `{NAME}` was asked for"


@given(
    place=st.integers(0, len(CURL)),
    removed=st.integers(0, 60),
    added=st.one_of(st.text(max_size=40), st.sampled_from(CURL.splitlines())),
)
def test_what_is_damaged_is_refused_or_is_another_one(place: int, removed: int, added: str) -> None:
    text = CURL[:place] + added + CURL[place + removed :]
    try:
        info = parse(text)
    except FetchError:
        return
    assert parse(format_narinfo(info)) == info
