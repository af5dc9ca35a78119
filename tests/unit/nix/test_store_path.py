"""Names of store paths, by values that Nix gives."""

import hashlib

import pytest

from osloom.base.digest import digest_bytes
from osloom.base.errors import Error, FetchError
from osloom.model.store_path import (
    check_content_address,
    hash_part,
    make_fixed_path,
    make_store_path,
    name_part,
    parse_content_address,
    parse_store_path,
)
from support.nar import NAME, nar, regular, store_path

HASH = NAME[:32]
SHA256 = {text: hashlib.sha256(text.encode()).hexdigest() for text in ("bar", "foo")}


@pytest.mark.parametrize(
    "name",
    ["x", "gtk+3-3.24", "a_b?c=d", "UPPER", ".hidden", "...", ".a-b", "a" * 211, "-", "1"],
)
def test_names_that_nix_takes(name: str) -> None:
    assert parse_store_path(f"/nix/store/{HASH}-{name}") == f"{HASH}-{name}"
    assert parse_store_path(f"{HASH}-{name}") == f"{HASH}-{name}"


def refused(text: str, cause: str) -> tuple[str, str]:
    return text, f"cannot use `{text}` as a store path: {cause}"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        refused("", "it does not start with 32 digits and `-`"),
        refused("/nix/store/", "it does not start with 32 digits and `-`"),
        refused(HASH, "it does not start with 32 digits and `-`"),
        refused(f"{HASH}-", "it does not start with 32 digits and `-`"),
        refused(f"{HASH}_x", "it does not start with 32 digits and `-`"),
        refused(f"/nix/store/{NAME}/bin", "it is not directly below /nix/store"),
        refused(f"/nix/store//{NAME}", "it is not directly below /nix/store"),
        refused(f"/gnu/store/{NAME}", "it is not directly below /nix/store"),
        refused(f"/nix/store/../{NAME}", "it is not directly below /nix/store"),
        refused(f"e{NAME[1:]}", "'e' is not a digit of Nix's base 32"),
        refused(f"{HASH}-a b", "its name has ' ' in it"),
        refused(f"{HASH}-a\n", "its name has '\\n' in it"),
        refused(f"{HASH}-é", "its name has 'é' in it"),
        refused(f"{HASH}-.", "its name starts with a `.` or `..` of its own"),
        refused(f"{HASH}-..", "its name starts with a `.` or `..` of its own"),
        refused(f"{HASH}-.-a", "its name starts with a `.` or `..` of its own"),
        refused(f"{HASH}-..-a", "its name starts with a `.` or `..` of its own"),
        refused(f"{HASH}-{'a' * 212}", "its name has 212 characters, and at most 211 are allowed"),
    ],
)
def test_names_that_nix_refuses(text: str, sentence: str) -> None:
    with pytest.raises(Error) as caught:
        parse_store_path(text)
    assert caught.value.message == sentence
    assert caught.value.hint == (
        "a store path is `/nix/store/`, 32 digits of Nix's base 32, `-` and a name"
    )


def test_the_two_parts_of_a_name() -> None:
    assert (hash_part(NAME), name_part(NAME)) == (HASH, "thing-1.0")


@pytest.mark.parametrize(
    ("name", "address", "path"),
    [
        # https://nixos.org/guides/nix-pills/18-nix-store-paths
        (
            "myfile",
            "fixed:r:sha256:2bfef67de873c54551d884fdab3055d84d573e654efa79db3c0d7b98883f9ee3",
            "xv2iccirbrvklck36f1g7vldn5v58vck-myfile",
        ),
        (
            "bar",
            "fixed:sha256:f3f3c4763037e059b4d834eaf68595bbc02ba19f6d2a500dce06d124e2cd99bb",
            "a00d5f71k0vp5a6klkls0mvr1f7sx6ch-bar",
        ),
        # builtins.toFile "foo" "bar"
        ("foo", f"text:sha256:{SHA256['bar']}", "vxjiwkjkn7x4079qvh1jkl5pn05j2aw0-foo"),
    ],
)
def test_paths_by_content_as_nix_names_them(name: str, address: str, path: str) -> None:
    assert make_fixed_path(name, address) == path


def test_the_digest_may_be_in_base_32() -> None:
    digits = "1mqcxnw60l6a1s4jw2mxdgmz7w2m8y7p0r4rcmq7bvk7bkqcw8p7"
    method, algorithm, digest = parse_content_address(f"fixed:r:sha256:{digits}")
    assert (method, algorithm, len(digest)) == ("r", "sha256", 64)
    hexadecimal = make_fixed_path("x", f"fixed:r:sha256:{digest}")
    assert make_fixed_path("x", f"fixed:r:sha256:{digits}") == hexadecimal


def test_references_are_part_of_the_name_in_any_order() -> None:
    address = f"text:sha256:{SHA256['bar']}"
    others = [NAME, f"{HASH}-a"]
    made = make_fixed_path("foo", address, others)
    assert made == make_fixed_path("foo", address, others[::-1])
    assert made != make_fixed_path("foo", address)


@pytest.mark.parametrize(
    ("address", "references", "itself", "cause"),
    [
        (
            f"fixed:sha256:{SHA256['foo']}",
            [NAME],
            False,
            "only `fixed:r:sha256` and `text` paths may refer to others",
        ),
        (
            f"fixed:sha256:{SHA256['foo']}",
            [],
            True,
            "only `fixed:r:sha256` and `text` paths may refer to others",
        ),
        (
            f"text:sha256:{SHA256['foo']}",
            [],
            True,
            "a text is addressed by SHA-256 and does not refer to itself",
        ),
        (
            f"text:sha1:{'0' * 40}",
            [],
            False,
            "a text is addressed by SHA-256 and does not refer to itself",
        ),
        (
            "fixed:r:sha256:00",
            [],
            False,
            "`00` is not a digest of sha256",
        ),
        (
            f"fixed:git:sha1:{'0' * 40}",
            [],
            False,
            "it is of no kind that osloom knows",
        ),
        ("", [], False, "it is of no kind that osloom knows"),
        (
            f"text:r:sha256:{SHA256['foo']}",
            [],
            False,
            "it is of no kind that osloom knows",
        ),
    ],
)
def test_addresses_that_no_path_has(
    address: str, references: list[str], itself: bool, cause: str
) -> None:
    with pytest.raises(Error) as caught:
        make_fixed_path("x", address, references, refers_to_itself=itself)
    assert caught.value.message == f"cannot use the content address `{address}`: {cause}"


def test_a_name_that_nix_refuses_is_not_made() -> None:
    with pytest.raises(Error) as caught:
        make_store_path("source", store_path().nar_hash, "a/b")
    assert caught.value.message == "cannot make a store path of `a/b`: its name has '/' in it"


CONTENT = nar(regular(b"bar"))
ADDRESS = f"fixed:r:sha256:{hashlib.sha256(CONTENT).hexdigest()}"

CLAIM = f"its content address `{ADDRESS}`"


def test_a_path_with_the_name_of_its_content() -> None:
    check_content_address(
        store_path(make_fixed_path("x", ADDRESS), CONTENT, content_address=ADDRESS)
    )


@pytest.mark.parametrize(
    ("name", "nar_content", "address", "references", "cause"),
    [
        (
            NAME,
            CONTENT,
            ADDRESS,
            (),
            f"{CLAIM} belongs to /nix/store/{make_fixed_path('thing-1.0', ADDRESS)}",
        ),
        (
            make_fixed_path("x", ADDRESS),
            CONTENT,
            ADDRESS,
            (NAME,),
            f"{CLAIM} belongs to /nix/store/{make_fixed_path('x', ADDRESS, [NAME])}",
        ),
        (
            make_fixed_path("x", ADDRESS),
            b"other",
            ADDRESS,
            (),
            f"{CLAIM} is of another content than its NAR hash {digest_bytes(b'other')}",
        ),
        (
            NAME,
            CONTENT,
            "magic:sha256:00",
            (),
            "cannot use the content address `magic:sha256:00`: it is of no kind that osloom knows",
        ),
    ],
)
def test_a_path_that_lies_about_its_content(
    name: str, nar_content: bytes, address: str, references: tuple[str, ...], cause: str
) -> None:
    path = store_path(name, nar_content, content_address=address, references=references)
    with pytest.raises(FetchError) as caught:
        check_content_address(path)
    assert caught.value.message == f"cannot trust /nix/store/{name}: {cause}"
