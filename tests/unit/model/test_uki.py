"""Unified kernel images of small programs; tests/integration/test_uki.py has ukify beside them."""

import gzip
import struct

import pytest

from osloom.base.errors import BuildError, Error
from osloom.model.blocks import blocks_of
from osloom.model.pe import parse_program
from osloom.model.pe_headers import read_headers
from osloom.model.uki import Parts, kernel_version, make_uki
from support.pe import make_pe

_RELEASE = b"ID=debian\n"
_FLAGS = 70


def program(*, sbat: bytes = b"sbat,1\nown,1,Own\n", strict: bool = True) -> bytes:
    made = bytearray(
        make_pe(sections=(b"code" * 128, sbat.ljust(512, b"\0")), names=(b".text", b".sbat"))
    )
    optional = read_headers(bytes(made)).optional
    # SectionAlignment and FileAlignment.
    struct.pack_into("<II", made, optional + 32, 4096, 512)
    struct.pack_into("<H", made, optional + _FLAGS, 0x160 if strict else 0x60)
    return bytes(made)


def flags(image: bytes) -> int:
    (found,) = struct.unpack_from("<H", image, read_headers(image).optional + _FLAGS)
    return int(found)


def parts(kernel: bytes) -> Parts:
    return Parts(stub=program(), kernel=kernel, release=_RELEASE, uname="6.12")


def test_who_revokes_programs_finds_all_that_are_in_it() -> None:
    made = make_uki(parts(program(sbat=b"sbat,1\nkernel,2,Kernel\n")))
    lines = parse_program(blocks_of(made)).text(".sbat").splitlines()
    assert [line.partition(",")[0] for line in lines] == ["sbat", "own", "kernel", "uki"]


def test_a_kernel_without_sbat_is_taken_as_it_is() -> None:
    made = make_uki(parts(b"no EFI program"))
    sections = parse_program(blocks_of(made)).sections
    assert sections[".linux"].read(0, 14) == b"no EFI program"
    assert [name for name in sections if name not in (".text", ".sbat")] == [
        ".osrel",
        ".uname",
        ".linux",
    ]


def test_it_is_as_strict_about_memory_as_its_kernel() -> None:
    assert flags(make_uki(parts(program()))) == 0x160
    assert flags(make_uki(parts(program(strict=False)))) == 0x60


def test_a_kernel_in_gzip_is_unpacked() -> None:
    kernel = program()
    assert make_uki(parts(gzip.compress(kernel))) == make_uki(parts(kernel))


@pytest.mark.parametrize(
    ("kernel", "said"),
    [
        (
            gzip.compress(b"x" * 9000, mtime=0)[:40],
            "cannot unpack the kernel: its gzip data are cut off",
        ),
        (b"\x1f\x8b" + bytes(40), "cannot unpack the kernel: Error"),
        (b"\x28\xb5\x2f\xfd...", "compressed with zstd"),
        (b"\xfd7zXZ\0", "compressed with xz"),
    ],
)
def test_a_kernel_that_firmware_cannot_start_is_refused(kernel: bytes, said: str) -> None:
    with pytest.raises(BuildError, match=said):
        make_uki(parts(kernel))


def test_more_than_the_stub_has_room_for_is_refused() -> None:
    long = b"sbat,1\n" + b"kernel,2,Kernel\n" * 30
    with pytest.raises(Error, match=r"cannot change \.sbat of the EFI program: it has 512 bytes"):
        make_uki(parts(program(sbat=long)))


def test_versions_are_found_where_kernels_have_them() -> None:
    x86 = bytearray(0x400)
    x86[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", x86, 0x20E, 0x100)
    text = b"6.12.1+deb13-cloud-amd64 (debian@x) #1 SMP\0"
    x86[0x300 : 0x300 + len(text)] = text
    assert kernel_version(bytes(x86)) == "6.12.1+deb13-cloud-amd64"
    assert kernel_version(b"..Linux version 6.1.0-arm64 (gcc)..") == "6.1.0-arm64"
    assert kernel_version(b"Linux version unknown") is None
    assert kernel_version(bytes(x86[:0x206])) is None
