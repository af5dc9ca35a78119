"""One more section at the end of a PE file, PE Format."""

import struct

from osloom.base.errors import Error

_HEADER = struct.Struct("<8sIIIIIIHHI")
_READ_ONLY_DATA = 0x40000040
"""IMAGE_SCN_CNT_INITIALIZED_DATA and IMAGE_SCN_MEM_READ."""


def add_section(image: bytes, name: str, content: bytes) -> bytes:
    """`image`, which is not signed, with the section `name`. Raises Error where there is no room."""
    (header,) = struct.unpack_from("<I", image, 0x3C)
    count, options = struct.unpack_from("<xxH12xH", image, header + 4)
    optional = header + 24
    section_grain, file_grain = struct.unpack_from("<II", image, optional + 32)
    (headers_size,) = struct.unpack_from("<I", image, optional + 60)
    table = optional + options
    place = table + _HEADER.size * count
    if place + _HEADER.size > headers_size:
        raise Error(f"cannot put {name} into the EFI program: its headers are full")
    end = max(
        start + size
        for size, start in (
            struct.unpack_from("<II", image, table + _HEADER.size * number + 8)
            for number in range(count)
        )
    )
    start, raw = _aligned(end, section_grain), _aligned(len(image), file_grain)
    room = _aligned(len(content), file_grain)
    made = bytearray(image.ljust(raw, b"\0") + content.ljust(room, b"\0"))
    _HEADER.pack_into(
        made, place, name.encode(), len(content), start, room, raw, 0, 0, 0, 0, _READ_ONLY_DATA
    )
    struct.pack_into("<H", made, header + 6, count + 1)
    struct.pack_into("<I", made, optional + 56, _aligned(start + len(content), section_grain))
    return bytes(made)


def _aligned(size: int, grain: int) -> int:
    return -(-size // grain) * grain
