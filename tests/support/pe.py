"""A small PE file, as linkers lay it out."""

import struct


def make_pe(
    *,
    sections: tuple[bytes, ...] = (b"code" * 128, b"data" * 64),
    names: tuple[bytes, ...] = (),
    pad: int = 0,
) -> bytes:
    """PE32+ with headers of 1024 bytes; `pad` bytes behind the last section.

    Sections without a name in `names` are `.s`.
    """
    head = bytearray(1024)
    head[:2] = b"MZ"
    struct.pack_into("<I", head, 0x3C, 64)
    struct.pack_into("<4sHH12xHH", head, 64, b"PE\0\0", 0x8664, len(sections), 240, 0x22)
    optional = 64 + 24
    struct.pack_into("<H", head, optional, 0x20B)
    struct.pack_into("<I", head, optional + 60, len(head))
    struct.pack_into("<I", head, optional + 108, 16)
    place = len(head)
    for number, section in enumerate(sections):
        size = len(section)
        name = names[number] if number < len(names) else b".s"
        entry = struct.pack("<8sIIII16x", name, size, 4096 * (number + 1), size, place)
        struct.pack_into("40s", head, optional + 240 + 40 * number, entry)
        place += size
    return bytes(head) + b"".join(sections) + bytes(pad)
