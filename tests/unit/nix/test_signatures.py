"""Who signed a path: real signatures and keys, and every way in which one is none."""

import base64
import hashlib

import msgspec
import pytest

from osloom.base.errors import FetchError
from osloom.model.store_path import make_fixed_path
from osloom.sources.nix.narinfo import parse_narinfo, to_store_path
from osloom.sources.nix.signatures import (
    check_trusted,
    fingerprint,
    parse_secret_key,
    public_key,
    sign,
)
from support.nar import nar, regular, store_path

CURL = to_store_path(
    parse_narinfo(
        b"""\
StorePath: /nix/store/syd87l2rxw8cbsxmxl853h0r6pdwhwjr-curl-7.82.0-bin
URL: nar/05ra3y72i3qjri7xskf9qj8kb29r6naqy1sqpbs3azi3xcigmj56.nar.xz
NarHash: sha256:1b4sb93wp679q4zx9k1ignby1yna3z7c4c2ri3wphylbc2dwsys0
NarSize: 196040
References: 0jqd0rlxzra1rs38rdxl43yh6rxchgc6-curl-7.82.0 6w8g7njm4mck5dmjxws0z1xnrxvl81xa-glibc-2.34-115 j5jxw3iy7bbz4a57fh9g2xm2gxmyal8h-zlib-1.2.12 yxvjs9drzsphm9pcf42a4byzj1kb9m7k-openssl-1.1.1n
Sig: cache.nixos.org-1:TsTTb3WGTZKphvYdBHXwo6weVILmTytUjLB+vcX89fOjjRicCHmKA4RCPMVLkj6TMJ4GMX3HPVWRdD1hkeKZBQ==
Sig: test1:519iiVLx/c4Rdt5DNt6Y2Jm6hcWE9+XY69ygiWSZCNGVcmOcyL64uVAJ3cV8vaTusIZdbTnYo9Y7vDNeTmmMBQ==
""",
        where="curl",
    )
)
NIXOS = "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY="
TEST = "test1:tLAEn+EeaBUJYqEpTd2yeerr7Ic6+0vWe+aXL/vYUpE="
SECRET = parse_secret_key(
    # RFC 8032, 7.1, the second test: seed and public key.
    "mine-1:"
    + base64.b64encode(
        bytes.fromhex(
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
        )
    ).decode()
)
MINE = public_key(SECRET)


def test_what_is_signed() -> None:
    assert fingerprint(CURL) == (
        "1;/nix/store/syd87l2rxw8cbsxmxl853h0r6pdwhwjr-curl-7.82.0-bin;"
        "sha256:1b4sb93wp679q4zx9k1ignby1yna3z7c4c2ri3wphylbc2dwsys0;196040;"
        "/nix/store/0jqd0rlxzra1rs38rdxl43yh6rxchgc6-curl-7.82.0,"
        "/nix/store/6w8g7njm4mck5dmjxws0z1xnrxvl81xa-glibc-2.34-115,"
        "/nix/store/j5jxw3iy7bbz4a57fh9g2xm2gxmyal8h-zlib-1.2.12,"
        "/nix/store/yxvjs9drzsphm9pcf42a4byzj1kb9m7k-openssl-1.1.1n"
    )


@pytest.mark.parametrize(
    ("keys", "signer"),
    [
        ([NIXOS], "cache.nixos.org-1"),
        ([TEST], "test1"),
        ([MINE, TEST], "test1"),
        ([TEST, NIXOS], "cache.nixos.org-1"),
        (["test1:" + MINE.partition(":")[2], TEST], "test1"),
    ],
)
def test_one_good_signature_is_enough(keys: list[str], signer: str) -> None:
    assert check_trusted(CURL, keys) == signer


def test_one_that_we_made() -> None:
    signed = msgspec.structs.replace(CURL, signatures=(sign(CURL, SECRET),))
    assert check_trusted(signed, [NIXOS, MINE]) == "mine-1"


def test_a_good_one_among_bad_ones() -> None:
    bad = ("", "x", "cache.nixos.org-1:", "cache.nixos.org-1:AAAA", "mine-1:é")
    path = msgspec.structs.replace(CURL, signatures=(*bad, *CURL.signatures))
    assert check_trusted(path, [MINE, NIXOS]) == "cache.nixos.org-1"


def test_a_content_address_needs_none() -> None:
    content = nar(regular(b"bar"))
    digest = store_path(nar=content).nar_hash
    address = f"fixed:r:{digest}"
    path = store_path(make_fixed_path("x", address), content, content_address=address)
    assert check_trusted(path, []) is None


@pytest.mark.parametrize("algorithm", ["md5", "sha1"])
def test_a_content_address_of_a_broken_digest_is_not_enough(algorithm: str) -> None:
    address = f"fixed:{algorithm}:{hashlib.new(algorithm, b'bar').hexdigest()}"
    path = store_path(make_fixed_path("x", address), b"bar", content_address=address)
    with pytest.raises(FetchError, match="it is not signed"):
        check_trusted(path, [MINE])
    signed = msgspec.structs.replace(path, signatures=(sign(path, SECRET),))
    assert check_trusted(signed, [MINE]) == "mine-1"


def test_a_content_address_that_lies_is_refused_whoever_signed_it() -> None:
    address = f"fixed:r:{CURL.nar_hash}"
    path = msgspec.structs.replace(CURL, content_address=address)
    path = msgspec.structs.replace(path, signatures=(sign(path, SECRET),))
    with pytest.raises(FetchError, match="belongs to"):
        check_trusted(path, [MINE])


UNSIGNED = msgspec.structs.replace(CURL, signatures=())
ANOTHER_HASH = msgspec.structs.replace(CURL, nar_hash=store_path().nar_hash)
SIGN_IT = "sign it with `nix store sign`, or take it from a cache that signs"
NOT_GOOD = (
    "its hash, size or references were changed after it was signed, or another key has this name: "
    "do not use it"
)


@pytest.mark.parametrize(
    ("path", "keys", "cause", "hint"),
    [
        (
            UNSIGNED,
            [NIXOS, MINE],
            "it is not signed",
            f"{SIGN_IT}; trusted keys: `cache.nixos.org-1`, `mine-1`",
        ),
        (
            CURL,
            [MINE],
            "it is signed by `cache.nixos.org-1`, `test1`, and trusted keys are `mine-1`",
            "if you trust who has that key, add the public key to `keys` of `[[nix.cache]]`",
        ),
        (
            CURL,
            [],
            "it is signed by `cache.nixos.org-1`, `test1`, and trusted keys are none",
            "if you trust who has that key, add the public key to `keys` of `[[nix.cache]]`",
        ),
        (
            CURL,
            ["test1:" + MINE.partition(":")[2]],
            "its signature by `test1` is not good",
            NOT_GOOD,
        ),
        (ANOTHER_HASH, [NIXOS], "its signature by `cache.nixos.org-1` is not good", NOT_GOOD),
        (
            msgspec.structs.replace(CURL, nar_size=1),
            [NIXOS],
            "its signature by `cache.nixos.org-1` is not good",
            NOT_GOOD,
        ),
        (
            msgspec.structs.replace(CURL, references=CURL.references[1:]),
            [NIXOS],
            "its signature by `cache.nixos.org-1` is not good",
            NOT_GOOD,
        ),
        (
            msgspec.structs.replace(CURL, signatures=("cache.nixos.org-1:AAAA",)),
            [NIXOS],
            "its signature by `cache.nixos.org-1` is not good",
            NOT_GOOD,
        ),
    ],
)
def test_what_nobody_we_trust_signed(path: object, keys: list[str], cause: str, hint: str) -> None:
    with pytest.raises(FetchError) as caught:
        check_trusted(path, keys)  # type: ignore[arg-type]
    assert caught.value.message == f"cannot trust {CURL.path}: {cause}"
    assert caught.value.hint == hint


def test_the_public_key_of_a_secret_one() -> None:
    assert MINE == "mine-1:PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw="
    assert repr(SECRET) == "SecretKey('mine-1')"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "cannot use the secret key: it is not a name, `:` and 64 bytes in base 64"),
        ("x:AAAA", "cannot use the secret key: it is not a name, `:` and 64 bytes in base 64"),
        (":" + "A" * 86 + "==", "cannot use the secret key: it is not a name, `:` and 64 bytes in base 64"),
        (MINE, "cannot use the secret key: it is not a name, `:` and 64 bytes in base 64"),
        ("x:" + "A" * 86 + "==", "cannot use the secret key: its two halves do not belong together"),
    ],
)  # fmt: skip
def test_a_secret_key_that_is_none(text: str, sentence: str) -> None:
    with pytest.raises(FetchError) as caught:
        parse_secret_key(text + "\n")
    assert caught.value.message == sentence


def test_a_public_key_that_is_none() -> None:
    with pytest.raises(FetchError) as caught:
        check_trusted(CURL, ["x:AAAA"])
    assert caught.value.message == (
        "cannot use the public key `x:AAAA`: it is not a name, `:` and 32 bytes in base 64"
    )
