"""Authenticode: the digest and the signatures of a PE file, which every EFI program is.

Windows Authenticode Portable Executable Signature Format, 2008; PE Format, section "Attribute
certificate table"; UEFI Specification, section 32.2.4. The files are hostile input.
"""

import hashlib
import struct
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec

from osloom.model import cms
from osloom.model.der import element, explicit, identifier, octets, sequence
from osloom.model.pe_headers import Headers, damaged, read_headers

_INDIRECT_DATA = "1.3.6.1.4.1.311.2.1.4"
_OBSOLETE = explicit(2, element(0x80, "<<<Obsolete>>>".encode("utf-16-be")))
_PE_IMAGE_DATA = sequence(
    identifier("1.3.6.1.4.1.311.2.1.15"),
    sequence(element(0x03, b"\x00"), explicit(0, _OBSOLETE)),
)
_REVISION = 0x0200
_PKCS_SIGNED_DATA = 0x0002
_PIECE = 16 << 10
"""Bytes that are a number at a time, in the processor's cache."""


class _Layout(msgspec.Struct, frozen=True, kw_only=True):
    """Offsets in bytes from the start of the file."""

    checksum: int
    directory: int
    """Of the entry that has the place of the certificate table."""
    end: int
    """Of what is hashed: here the certificate table begins, or the file ends."""


def sign(image: bytes, signer: cms.Certificate, sign_raw: cms.Sign) -> bytes:
    """`image` with one more signature; those that it has stay.

    Raises Error when it is not a whole PE file.
    """
    return b"".join(signed_parts(image, signer, sign_raw))


def signed_parts(
    image: bytes, signer: cms.Certificate, sign_raw: cms.Sign
) -> Sequence[bytes | memoryview]:
    """What `sign` gives, in parts: a UKI has tens of megabytes, which are not copied."""
    layout = _parse(image)
    old = image[layout.end :]
    tuple(_entries(old))
    old += bytes(-len(old) % 8)
    body = image[: layout.end] + bytes(-layout.end % 8)
    start = layout.directory + 8 + layout.directory % 2
    with ThreadPoolExecutor(max_workers=1) as pool:
        # Numbers are added in Python, while the other thread is not.
        hashed = pool.submit(_hash, body, layout)
        total = _words([memoryview(body)[start:]])
    content = _PE_IMAGE_DATA + sequence(cms.SHA256, octets(hashed.result()))
    message = cms.wrapped(cms.enveloped(_INDIRECT_DATA, content, signer, sign_raw))
    head = struct.pack("<IHH", 8 + len(message), _REVISION, _PKCS_SIGNED_DATA)
    table = old + head + message + bytes(-len(message) % 8)
    begun = bytearray(body[:start])
    struct.pack_into("<II", begun, layout.directory, len(body), len(table))
    struct.pack_into("<I", begun, layout.checksum, 0)
    total = (total + _words([begun, table])) % 0xFFFF
    checksum = (total or 0xFFFF) + len(body) + len(table)
    struct.pack_into("<I", begun, layout.checksum, checksum)
    return bytes(begun), memoryview(body)[start:], table


def digest(image: bytes) -> bytes:
    """The SHA-256 digest that signatures of the PE file are of. Raises Error as `sign`."""
    layout = _parse(image)
    return _hash(image[: layout.end] + bytes(-layout.end % 8), layout)


def signatures(image: bytes) -> tuple[bytes, ...]:
    """The PKCS#7 messages of the PE file in DER, in their order; nothing is verified."""
    return tuple(_entries(image[_parse(image).end :]))


def _entries(table: bytes) -> Iterator[bytes]:
    position = 0
    while position < len(table):
        if len(table) - position < 8:
            raise damaged("its certificate table is cut off")
        length, _revision, kind = struct.unpack_from("<IHH", table, position)
        if length < 8 or position + length > len(table):
            raise damaged("an entry of its certificate table has an impossible length")
        if kind == _PKCS_SIGNED_DATA:
            yield table[position + 8 : position + length]
        position += length + -length % 8


def _hash(body: bytes, layout: _Layout) -> bytes:
    found = hashlib.sha256(memoryview(body)[: layout.checksum])
    found.update(memoryview(body)[layout.checksum + 4 : layout.directory])
    found.update(memoryview(body)[layout.directory + 8 :])
    return found.digest()


def _words(parts: Iterable[bytes | bytearray | memoryview]) -> int:
    """The 16-bit words of parts added with their carries, as CheckSumMappedFile does, which adds the
    file's length to that of all. Each but the last has whole words.

    Adding carries back in is arithmetic modulo 65535, and whole pieces are numbers.
    """
    pieces = (
        memoryview(part)[place : place + _PIECE]
        for part in parts
        for place in range(0, len(part), _PIECE)
    )
    return sum(int.from_bytes(piece, "little") for piece in pieces) % 0xFFFF


def _parse(image: bytes) -> _Layout:
    headers = read_headers(image)
    directory = headers.certificates
    if directory is None:
        raise damaged("it has no room for the place of a signature")
    place, size = struct.unpack_from("<II", image, directory)
    end = place if place or size else len(image)
    if end + size != len(image) or (size and end % 8):
        raise damaged("its certificate table is not at its end")
    _check_sections(headers, end)
    return _Layout(checksum=headers.optional + 64, directory=directory, end=end)


def _check_sections(headers: Headers, end: int) -> None:
    """Sections lie one behind the other, so that the file in its order is hashed.

    Firmware hashes section by section: where there are gaps, what lies in them is not signed.
    """
    position = headers.size
    for one in sorted(headers.sections, key=lambda one: one.place):
        if one.room == 0:
            continue
        if one.place != position:
            raise damaged(f"its sections leave a gap or overlap at byte {min(one.place, position)}")
        position = one.place + one.room
    if position > end:
        raise damaged(f"it is cut off: {end} bytes of {position}")
