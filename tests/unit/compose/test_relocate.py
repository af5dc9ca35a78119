"""Programs that are moved to a directory of their own."""

import struct

import pytest

from osloom.base.errors import BuildError
from osloom.compose.relocate import with_interpreter, with_libraries

LOADER = b"/lib64/ld-linux-x86-64.so.2\0"


def program(interpreter: bytes = LOADER) -> bytes:
    """An ELF file with two program headers, of which the second is PT_INTERP."""
    head = b"\x7fELF\x02\x01".ljust(32, b"\0") + struct.pack("<Q", 64)
    head = head.ljust(54, b"\0") + struct.pack("<HH", 56, 2)
    text = 64 + 2 * 56
    first = struct.pack("<IIQQQQ", 1, 0, 0, 0, 0, 0).ljust(56, b"\0")
    second = struct.pack("<IIQQQQ", 3, 0, text, 0, 0, len(interpreter)).ljust(56, b"\0")
    return head.ljust(64, b"\0") + first + second + interpreter + b"code"


def test_the_loader_of_a_program_is_another_and_nothing_moves() -> None:
    moved = with_interpreter(program(), "/.osloom/ld.so")
    assert moved == program(b"/.osloom/ld.so".ljust(len(LOADER), b"\0"))


@pytest.mark.parametrize("data", [b"", b"#!/bin/sh\n", b"\x7fELF\x01\x01", b"\x7fELF\x02\x01"])
def test_what_is_no_program_of_64_bits_stays_as_it_is(data: bytes) -> None:
    assert with_interpreter(data, "/.osloom/ld.so") == data


def test_a_name_that_has_no_room_is_an_error() -> None:
    with pytest.raises(BuildError, match="no room"):
        with_interpreter(program(b"/ld\0"), "/.osloom/ld.so")


def test_the_loader_keeps_its_size_and_knows_no_directory_of_the_image() -> None:
    directories = b"/lib/x-y/\0/usr/lib/x-y/\0/lib/\0/usr/lib/\0"
    data = b"/etc/ld.so.cache\0" + directories + b"/etc/ld.so.preload\0"
    long = data.replace(b"x-y", b"x86_64-linux-gnu")
    moved = with_libraries(long, "x86_64-linux-gnu")
    assert len(moved) == len(long)
    assert all(text.startswith(b"/.os") for text in moved.split(b"\0") if text)
    assert moved.split(b"\0")[1].rstrip(b"/") == b"/.osloom/lib.d"


def test_a_loader_that_is_not_known_is_an_error() -> None:
    with pytest.raises(BuildError, match="none that is known"):
        with_libraries(b"/etc/ld.so.cache\0", "x86_64-linux-gnu")
