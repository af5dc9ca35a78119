"""Nix's base 32, by values that Nix's own manual and tools give."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osloom.base.digest import digest_bytes
from osloom.model.nix32 import decode32, encode32, format_hash, parse_hash


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", ""),
        (b"\x00", "00"),
        (b"\x1f", "0z"),
        (b"\xff", "7z"),
        (hashlib.sha256(b"").digest(), "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73"),
        (hashlib.sha1(b"").digest(), "143xibwh31h9bvxzalr0sjvbbvpa6ffs"),
    ],
)
def test_known_values(data: bytes, text: str) -> None:
    assert encode32(data) == text
    assert decode32(text) == data


@given(st.binary(max_size=80))
def test_what_is_written_is_read(data: bytes) -> None:
    assert decode32(encode32(data)) == data


@given(st.text(alphabet="0123456789abcdfghijklmnpqrsvwxyz", max_size=60))
def test_no_two_texts_are_the_same_bytes(text: str) -> None:
    try:
        data = decode32(text)
    except ValueError:
        return
    assert encode32(data) == text


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("0e", "'e' is not a digit of Nix's base 32"),
        ("0\u0661", "'\u0661' is not a digit of Nix's base 32"),
        ("0Z", "'Z' is not a digit of Nix's base 32"),
        ("0", "no bytes have 1 digits in Nix's base 32"),
        ("000", "no bytes have 3 digits in Nix's base 32"),
        ("zz", "`zz` is more than 1 bytes in Nix's base 32"),
    ],
)
def test_what_is_none(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match="Nix's base 32") as caught:
        decode32(text)
    assert str(caught.value) == sentence


def test_a_digest_in_all_the_ways_that_nix_writes_it() -> None:
    digest = digest_bytes(b"")
    base64 = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    assert format_hash(digest) == "sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73"
    for text in (format_hash(digest), digest, f"sha256:{base64}", f"sha256-{base64}"):
        assert parse_hash(text) == digest


@pytest.mark.parametrize(
    "text",
    [
        *("", "sha256", "sha256:", "sha512:00", "sha256:0", "sha256-AAAA", "sha256 " + "0" * 64),
        *("sha256:" + " " * 64, "sha256:" + "e" * 52, "sha256-" + "-" * 44),
    ],
)
def test_what_is_no_digest(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_hash(text)
