"""EFI programs are signed as they are, and what is not whole is refused in one sentence."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osloom.base.errors import Error
from osloom.model import authenticode, cms
from osloom.model.pe_section import added_parts
from support.pe import make_pe

SIGNER = cms.Certificate(der=b"\x30\x00", issuer=b"\x30\x00", serial=7, algorithm="rsa")
IMAGE = make_pe()
OPTIONAL = 64 + 24
CHECKSUM = OPTIONAL + 64
DIRECTORY = OPTIONAL + 112 + 8 * 4


def sign(image: bytes) -> bytes:
    return authenticode.sign(image, SIGNER, lambda data: b"raw" + data[:1])


def test_a_signature_is_at_the_end_and_its_place_in_the_headers() -> None:
    signed = sign(IMAGE)
    place, size = struct.unpack_from("<II", signed, DIRECTORY)
    assert (place, place + size) == (len(IMAGE), len(signed))
    assert len(signed) % 8 == 0
    blank = bytearray(signed[: len(IMAGE)])
    blank[DIRECTORY : DIRECTORY + 8] = blank[CHECKSUM : CHECKSUM + 4] = b""
    expected = bytearray(IMAGE)
    expected[DIRECTORY : DIRECTORY + 8] = expected[CHECKSUM : CHECKSUM + 4] = b""
    assert blank == expected


def test_the_digest_is_the_same_before_and_after() -> None:
    assert authenticode.digest(sign(IMAGE)) == authenticode.digest(IMAGE)
    assert authenticode.digest(sign(make_pe(pad=3))) == authenticode.digest(make_pe(pad=3))


def test_signing_again_gives_the_same_and_a_second_signature_is_added() -> None:
    once = sign(IMAGE)
    assert once == sign(IMAGE)
    twice = sign(once)
    assert authenticode.signatures(IMAGE) == ()
    assert authenticode.signatures(twice) == authenticode.signatures(once) * 2


@pytest.mark.parametrize("grain", [2, 64, 512])
def test_an_image_in_parts_is_signed_as_in_one(grain: int) -> None:
    contents = (b"\xff" * 700, bytes(range(256)) * 4)
    made = make_pe(sections=tuple(one.ljust(1024) for one in contents), names=(b".a", b".b"))
    begun = bytearray(made)
    (header,) = struct.unpack_from("<I", begun, 0x3C)
    struct.pack_into("<II", begun, header + 24 + 32, 4096, 512)
    parts = added_parts(bytes(begun), [(".cmdline", b"ro quiet"), (".pcrsig", b"{}" * 400)])
    head, body = parts[0], b"".join(parts[1:])
    cut = [head, *(body[place : place + grain] for place in range(0, len(body), grain))]
    raw = SIGNER, lambda data: b"raw" + data[:1]
    whole = authenticode.sign(b"".join(parts), *raw)
    assert b"".join(authenticode.signed_parts(cut, *raw)) == whole
    summed = authenticode.sum_body(bytes(begun))
    assert b"".join(authenticode.signed_parts(cut, *raw, summed)) == whole
    assert summed.words != 0


def test_the_checksum_is_that_of_the_linker() -> None:
    """The plain loop of IMAGEHLP: words added with carries, then the length."""
    signed = bytearray(sign(make_pe(pad=5)))
    (found,) = struct.unpack_from("<I", signed, CHECKSUM)
    struct.pack_into("<I", signed, CHECKSUM, 0)
    total = 0
    for (word,) in struct.iter_unpack("<H", signed):
        total += word
        total = (total & 0xFFFF) + (total >> 16)
    assert found == total + len(signed)


def changed(offset: int, form: str, *values: int) -> bytes:
    image = bytearray(IMAGE)
    struct.pack_into(form, image, offset, *values)
    return bytes(image)


FIRST = OPTIONAL + 240
HOSTILE = {
    "nothing": (b"", "it does not begin with `MZ`"),
    "text": (b"#!/bin/sh\n", "it does not begin with `MZ`"),
    "only MZ": (b"MZ", "its headers are cut off"),
    "header far away": (changed(0x3C, "<I", 2**32 - 1), "it has no PE header"),
    "cut in the optional header": (IMAGE[: OPTIONAL + 60], "its headers are cut off"),
    "ROM image": (changed(OPTIONAL, "<H", 0x107), "it is of the unknown kind 0x107"),
    "no directories": (
        changed(OPTIONAL + 108, "<I", 4),
        "it has no room for the place of a signature",
    ),
    "short optional header": (
        changed(64 + 20, "<H", 112),
        "it has no room for the place of a signature",
    ),
    "many sections": (
        changed(64 + 6, "<H", 65535),
        "its sections are described outside its headers",
    ),
    "cut in a section": (IMAGE[:-1], "it is cut off: 1791 bytes of 1792"),
    "only its headers": (IMAGE[:1024], "it is cut off: 1024 bytes of 1792"),
    "gap between sections": (
        changed(FIRST + 16, "<I", 500),
        "its sections leave a gap or overlap at byte 1524",
    ),
    "sections over each other": (
        changed(FIRST + 40 + 20, "<I", 1024),
        "its sections leave a gap or overlap at byte 1024",
    ),
    "section over its headers": (
        changed(FIRST + 20, "<I", 0),
        "its sections leave a gap or overlap at byte 0",
    ),
    "certificates past the end": (
        changed(DIRECTORY, "<II", len(IMAGE), 8),
        "its certificate table is not at its end",
    ),
    "certificates in the middle": (
        changed(DIRECTORY, "<II", 1024, 8),
        "its certificate table is not at its end",
    ),
    "certificates over a section": (
        changed(DIRECTORY, "<II", 1536, 256),
        "it is cut off: 1536 bytes of 1792",
    ),
    "certificate without end": (
        changed(DIRECTORY, "<II", len(IMAGE), 16) + struct.pack("<IHHQ", 99, 0x200, 2, 0),
        "an entry of its certificate table has an impossible length",
    ),
    "certificate without length": (
        changed(DIRECTORY, "<II", len(IMAGE), 16) + struct.pack("<IHHQ", 0, 0x200, 2, 0),
        "an entry of its certificate table has an impossible length",
    ),
    "certificate cut off": (
        changed(DIRECTORY, "<II", len(IMAGE), 4) + b"\x08\0\0\0",
        "its certificate table is cut off",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_whole_program_is_refused(name: str) -> None:
    image, cause = HOSTILE[name]
    with pytest.raises(Error) as caught:
        sign(image)
    assert caught.value.message == f"cannot read the EFI program: {cause}"


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 511), st.integers(0, 255)), max_size=8), st.data())
def test_no_bytes_make_it_fail_otherwise(
    changes: list[tuple[int, int]], data: st.DataObject
) -> None:
    image = bytearray(sign(IMAGE))
    for place, value in changes:
        image[place] = value
    cut = bytes(image[: data.draw(st.integers(0, len(image)))])
    for one in (bytes(image), cut):
        try:
            again = sign(one)
        except Error:
            continue
        assert authenticode.digest(again) == authenticode.digest(one)
