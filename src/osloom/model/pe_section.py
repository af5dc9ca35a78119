"""More sections at the end of a PE file, PE Format."""

import struct
from collections.abc import Sequence

from osloom.base.errors import Error

_HEADER = struct.Struct("<8sIIIIIIHHI")
_READ_ONLY_DATA = 0x40000040
"""IMAGE_SCN_CNT_INITIALIZED_DATA and IMAGE_SCN_MEM_READ."""


def add_sections(image: bytes, sections: Sequence[tuple[str, bytes]]) -> bytes:
    """`image`, which is not signed, with more sections, by name. Raises Error without room for them."""
    (header,) = struct.unpack_from("<I", image, 0x3C)
    count, options = struct.unpack_from("<xxH12xH", image, header + 4)
    optional = header + 24
    section_grain, file_grain = struct.unpack_from("<II", image, optional + 32)
    (headers_size,) = struct.unpack_from("<I", image, optional + 60)
    table = optional + options
    end = max(
        start + size
        for size, start in (
            struct.unpack_from("<II", image, table + _HEADER.size * number + 8)
            for number in range(count)
        )
    )
    head, size = bytearray(image[:headers_size]), len(image)
    # Copied once, whole: a UKI has tens of megabytes.
    pieces: list[bytes | bytearray | memoryview] = [head, memoryview(image)[headers_size:]]
    for number, (name, content) in enumerate(sections, count):
        place = table + _HEADER.size * number
        if place + _HEADER.size > headers_size:
            raise Error(f"cannot put {name} into the EFI program: its headers are full")
        start, raw = _aligned(end, section_grain), _aligned(size, file_grain)
        room = _aligned(len(content), file_grain)
        pieces += [bytes(raw - size), content.ljust(room, b"\0")]
        size = raw + room
        _HEADER.pack_into(
            head, place, name.encode(), len(content), start, room, raw, 0, 0, 0, 0, _READ_ONLY_DATA
        )
        end = start + len(content)
    struct.pack_into("<H", head, header + 6, count + len(sections))
    struct.pack_into("<I", head, optional + 56, _aligned(end, section_grain))
    return b"".join(pieces)


def _aligned(size: int, grain: int) -> int:
    return -(-size // grain) * grain
