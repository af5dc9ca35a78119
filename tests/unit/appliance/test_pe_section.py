"""A section more in a PE file."""

import struct

import pytest

from osloom.base.errors import Error
from osloom.model.blocks import blocks_of
from osloom.model.pe import parse_program
from osloom.model.pe_section import add_sections
from support.pe import make_pe


def program() -> bytes:
    made = bytearray(make_pe())
    (header,) = struct.unpack_from("<I", made, 0x3C)
    # SectionAlignment and FileAlignment.
    struct.pack_into("<II", made, header + 24 + 32, 4096, 512)
    return bytes(made)


def test_the_section_is_there_and_the_others_are_as_they_were() -> None:
    before = program()
    made = add_sections(before, [(".pcrsig", b"x" * 700)])
    sections = parse_program(blocks_of(made)).sections
    assert sections[".pcrsig"].read(0, 700) == b"x" * 700
    old = parse_program(blocks_of(before)).sections
    for name, content in old.items():
        assert sections[name].read(0, content.size) == content.read(0, content.size)
    assert len(made) % 512 == 0


def test_headers_without_room_are_refused() -> None:
    made = program()

    def fill() -> bytes:
        full = made
        for number in range(100):
            full = add_sections(full, [(f".{number}", b"x")])
        return full

    with pytest.raises(Error, match="its headers are full"):
        fill()
