"""The entries of a UKI in the boot menu, as systemd-boot and systemd-stub find them."""

import struct

import pytest

from osloom.base.errors import Error
from osloom.model.blocks import blocks_of
from osloom.model.pe import parse_program
from osloom.model.pe_section import add_sections
from osloom.model.profiles import MAIN, reset_entry
from support.pe import make_pe

RELEASE = b'ID=debian\nPRETTY_NAME="Debian"\nIMAGE_ID=edge-gateway\nIMAGE_VERSION=7\n'


def uki(release: bytes = RELEASE) -> bytes:
    made = bytearray(make_pe(sections=(b"code" * 128,)))
    (header,) = struct.unpack_from("<I", made, 0x3C)
    # SectionAlignment and FileAlignment.
    struct.pack_into("<II", made, header + 24 + 32, 4096, 512)
    return add_sections(bytes(made), [(".osrel", release), (".cmdline", b"ro quiet\0")])


def table(image: bytes) -> list[tuple[str, bytes]]:
    """The sections in the order of the headers, which is that of profiles."""
    (header,) = struct.unpack_from("<I", image, 0x3C)
    count, options = struct.unpack_from("<xxH12xH", image, header + 4)
    found = []
    for number in range(count):
        name, size, _, _, start = struct.unpack_from(
            "<8sIIII", image, header + 24 + options + 40 * number
        )
        found.append((name.rstrip(b"\0").decode(), image[start : start + size]))
    return found


def entries(image: bytes) -> list[dict[str, bytes]]:
    """What each profile has: what all share, and its own in the place of it."""
    shared: dict[str, bytes] = {}
    own = [shared]
    for name, content in table(image):
        if name == ".profile":
            own.append(dict(shared))
        own[-1][name] = content
    return own[1:]


def extended(image: bytes) -> bytes:
    return add_sections(image, reset_entry(parse_program(blocks_of(image))))


def test_there_are_an_entry_that_starts_and_one_that_resets() -> None:
    main, reset = entries(extended(uki()))
    assert (main[".profile"], main[".osrel"]) == (MAIN, RELEASE)
    assert main[".cmdline"].rstrip(b"\0") == b"ro quiet"
    assert reset[".cmdline"] == b"ro quiet osloom.factory-reset"
    assert reset[".profile"].splitlines() == [
        b"ID=factory-reset",
        b"TITLE=factory reset: erases all data",
    ]


def test_the_one_that_resets_is_sorted_behind_every_system() -> None:
    main, reset = entries(extended(uki()))

    def sort_key(entry: dict[str, bytes]) -> str:
        lines = entry[".osrel"].decode().splitlines()
        # The last line of a name is the one that counts.
        return [line for line in lines if line.startswith("IMAGE_ID=")][-1]

    assert sort_key(main) < sort_key(reset)


def test_who_reads_the_uki_finds_what_starts() -> None:
    program = parse_program(blocks_of(extended(uki())))
    assert program.text(".cmdline") == "ro quiet"
    assert program.release()["IMAGE_ID"] == "edge-gateway"
    assert program.text(".profile") == "ID=main"


def test_a_system_without_a_name_gets_no_such_entry() -> None:
    with pytest.raises(Error, match="it names no system"):
        extended(uki(b"NAME=x\n"))
