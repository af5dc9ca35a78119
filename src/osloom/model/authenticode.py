"""Authenticode: the digest and the signatures of a PE file, which every EFI program is.

Windows Authenticode Portable Executable Signature Format, 2008; PE Format, section "Attribute
certificate table"; UEFI Specification, section 32.2.4. The files are hostile input.
"""

import hashlib
import struct
from collections.abc import Iterable, Iterator, Sequence

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


Bytes = bytes | memoryview


class Summed(msgspec.Struct, frozen=True, kw_only=True):
    """What the checksum of an image has of one part of it."""

    start: int
    """Offset in bytes, even."""
    end: int
    """The first byte behind it, even."""
    words: int
    """All 16-bit words added, modulo 65535."""


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
    return b"".join(signed_parts([image], signer, sign_raw))


def signed_parts(
    image: Sequence[Bytes],
    signer: cms.Certificate,
    sign_raw: cms.Sign,
    summed: Summed | None = None,
) -> Sequence[Bytes]:
    """What `sign` gives, in parts: a UKI has tens of megabytes, which are not copied.

    `image` is in parts, too, of whole words; the first has all headers. `summed` is what `sum_body`
    gave of one that it has been made of: adding up so many bytes takes longer than to hash them.
    """
    size = sum(len(part) for part in image)
    layout = _parse(image[0], size)
    old = b"".join(_cut(image, layout.end, size))
    tuple(_entries(old))
    old += bytes(-len(old) % 8)
    body: list[Bytes] = [*_cut(image, 0, layout.end), bytes(-layout.end % 8)]
    size = layout.end + -layout.end % 8
    content = _PE_IMAGE_DATA + sequence(cms.SHA256, octets(_hash(body, size, layout)))
    message = cms.wrapped(cms.enveloped(_INDIRECT_DATA, content, signer, sign_raw))
    head = struct.pack("<IHH", 8 + len(message), _REVISION, _PKCS_SIGNED_DATA)
    table = old + head + message + bytes(-len(message) % 8)
    start = layout.directory + 8 + layout.directory % 2
    begun = bytearray(b"".join(_cut(body, 0, start)))
    struct.pack_into("<II", begun, layout.directory, size, len(table))
    struct.pack_into("<I", begun, layout.checksum, 0)
    known = summed or Summed(start=start, end=start, words=0)
    others = (*_cut(body, start, known.start), *_cut(body, known.end, size))
    total = (known.words + _words((begun, *others, table))) % 0xFFFF
    checksum = (total or 0xFFFF) + size + len(table)
    struct.pack_into("<I", begun, layout.checksum, checksum)
    return bytes(begun), *_cut(body, start, size), table


def sum_body(image: Bytes) -> Summed:
    """Of all behind the headers, which stays as it is when sections are added."""
    headers = read_headers(image).size
    start, end = headers + headers % 2, len(image) - len(image) % 2
    return Summed(start=start, end=end, words=_words([memoryview(image)[start:end]]))


def digest(image: bytes) -> bytes:
    """The SHA-256 digest that signatures of the PE file are of. Raises Error as `sign`."""
    layout = _parse(image, len(image))
    body = image[: layout.end] + bytes(-layout.end % 8)
    return _hash([body], len(body), layout)


def signatures(image: bytes) -> tuple[bytes, ...]:
    """The PKCS#7 messages of the PE file in DER, in their order; nothing is verified."""
    return tuple(_entries(image[_parse(image, len(image)).end :]))


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


def _hash(body: Sequence[Bytes], size: int, layout: _Layout) -> bytes:
    found = hashlib.sha256()
    checksum, directory = layout.checksum, layout.directory
    for start, end in ((0, checksum), (checksum + 4, directory), (directory + 8, size)):
        for part in _cut(body, start, end):
            found.update(part)
    return found.digest()


def _cut(parts: Iterable[Bytes], start: int, end: int) -> Iterator[memoryview]:
    """The bytes from `start` to `end`."""
    place = 0
    for part in parts:
        found = memoryview(part)[max(start - place, 0) : max(end - place, 0)]
        if found:
            yield found
        place += len(part)


def _words(parts: Iterable[Bytes | bytearray]) -> int:
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


def _parse(image: Bytes, size: int) -> _Layout:
    """Of `size` bytes, of which `image` has the headers."""
    headers = read_headers(image)
    directory = headers.certificates
    if directory is None:
        raise damaged("it has no room for the place of a signature")
    place, room = struct.unpack_from("<II", image, directory)
    end = place if place or room else size
    if end + room != size or (room and end % 8):
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
