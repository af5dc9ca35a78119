"""Sections of a PE file: more at its end, and other content, PE Format."""

import struct
from collections.abc import Sequence

from osloom.base.errors import Error
from osloom.model.pe_headers import read_headers

_HEADER = struct.Struct("<8sIIIIIIHHI")
_READ_ONLY_DATA = 0x40000040
"""IMAGE_SCN_CNT_INITIALIZED_DATA and IMAGE_SCN_MEM_READ."""
_READ_ONLY_CODE = 0x40000020
"""IMAGE_SCN_CNT_CODE and IMAGE_SCN_MEM_READ: of a kernel, which old ones are started in place."""
_INITIALIZED, _IMAGE_SIZE, _CHECKSUM = 8, 56, 64
"""Where in the optional header these are."""


def add_sections(image: bytes, sections: Sequence[tuple[str, bytes]]) -> bytes:
    """`image`, which is not signed, with more sections, by name. Raises Error without room for them."""
    return b"".join(added_parts(image, sections))


def added_parts(
    image: bytes | memoryview, sections: Sequence[tuple[str, bytes]]
) -> Sequence[bytes | memoryview]:
    """What `add_sections` gives, in parts, of which the first has all headers: a UKI has tens of
    megabytes, which are not copied."""
    headers = read_headers(image)
    section_grain, file_grain = struct.unpack_from("<II", image, headers.optional + 32)
    end = max(one.address + one.size for one in headers.sections)
    head, size = bytearray(image[: headers.size]), len(image)
    pieces: list[bytes | memoryview] = [memoryview(image)[headers.size :]]
    place = headers.table_end
    for name, content in sections:
        if place + _HEADER.size > headers.size:
            raise Error(f"cannot put {name} into the EFI program: its headers are full")
        start, raw = _aligned(end, section_grain), _aligned(size, file_grain)
        room = _aligned(len(content), file_grain)
        pieces += [bytes(raw - size), content.ljust(room, b"\0")]
        size = raw + room
        kind = _READ_ONLY_CODE if name == ".linux" else _READ_ONLY_DATA
        _HEADER.pack_into(
            head, place, name.encode(), len(content), start, room, raw, 0, 0, 0, 0, kind
        )
        place, end = place + _HEADER.size, start + len(content)
    struct.pack_into("<H", head, headers.header + 6, len(headers.sections) + len(sections))
    optional = headers.optional
    (data,) = struct.unpack_from("<I", head, optional + _INITIALIZED)
    data += sum(len(content) for _, content in sections)
    struct.pack_into("<I", head, optional + _INITIALIZED, data)
    struct.pack_into("<I", head, optional + _IMAGE_SIZE, _aligned(end, section_grain))
    struct.pack_into("<I", head, optional + _CHECKSUM, 0)
    return bytes(head), *pieces


def replace_section(image: bytes, name: str, content: bytes) -> bytes:
    """`image` with other content in a section that it has. Raises Error without room for it."""
    headers = read_headers(image)
    names = [one.name for one in headers.sections]
    if name not in names:
        raise Error(f"cannot change {name} of the EFI program: it has no such section")
    number = names.index(name)
    one = headers.sections[number]
    if len(content) > one.room:
        raise Error(f"cannot change {name} of the EFI program: it has {one.room} bytes there")
    head = bytearray(image[: headers.size])
    place = headers.table + _HEADER.size * number
    struct.pack_into("<I", head, place + 8, len(content))
    behind = one.place + one.room
    return b"".join(
        [head, image[headers.size : one.place], content.ljust(one.room, b"\0"), image[behind:]]
    )


def _aligned(size: int, grain: int) -> int:
    return -(-size // grain) * grain
