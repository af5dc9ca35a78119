"""More sections at the end of a PE file, PE Format."""

import struct
from collections.abc import Sequence

from osloom.base.errors import Error
from osloom.model.pe_headers import read_headers

_HEADER = struct.Struct("<8sIIIIIIHHI")
_READ_ONLY_DATA = 0x40000040
"""IMAGE_SCN_CNT_INITIALIZED_DATA and IMAGE_SCN_MEM_READ."""


def add_sections(image: bytes, sections: Sequence[tuple[str, bytes]]) -> bytes:
    """`image`, which is not signed, with more sections, by name. Raises Error without room for them."""
    headers = read_headers(image)
    section_grain, file_grain = struct.unpack_from("<II", image, headers.optional + 32)
    end = max(one.address + one.size for one in headers.sections)
    head, size = bytearray(image[: headers.size]), len(image)
    # Copied once, whole: a UKI has tens of megabytes.
    pieces: list[bytes | bytearray | memoryview] = [head, memoryview(image)[headers.size :]]
    place = headers.table_end
    for name, content in sections:
        if place + _HEADER.size > headers.size:
            raise Error(f"cannot put {name} into the EFI program: its headers are full")
        start, raw = _aligned(end, section_grain), _aligned(size, file_grain)
        room = _aligned(len(content), file_grain)
        pieces += [bytes(raw - size), content.ljust(room, b"\0")]
        size = raw + room
        _HEADER.pack_into(
            head, place, name.encode(), len(content), start, room, raw, 0, 0, 0, 0, _READ_ONLY_DATA
        )
        place, end = place + _HEADER.size, start + len(content)
    struct.pack_into("<H", head, headers.header + 6, len(headers.sections) + len(sections))
    struct.pack_into("<I", head, headers.optional + 56, _aligned(end, section_grain))
    return b"".join(pieces)


def _aligned(size: int, grain: int) -> int:
    return -(-size // grain) * grain
