"""A unified kernel image: the stub of systemd, and what it starts as sections of one PE file.

https://uapi-group.org/specifications/specs/unified_kernel_image/, systemd-stub(7). The bytes are
those that ukify(1) writes, whose order and flags are kept here.
"""

import re
import struct
import zlib
from collections.abc import Sequence

import msgspec

from osloom.base.errors import BuildError, Error
from osloom.model.blocks import blocks_of
from osloom.model.pe import parse_program
from osloom.model.pe_headers import read_headers
from osloom.model.pe_section import add_sections, replace_section

_MOST = 1 << 30
"""Bytes of a kernel."""
_GZIP = b"\x1f\x8b"
_COMPRESSED = {
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\xfd7zXZ": "xz",
    b"\x04\x22\x4d\x18": "lz4",
    b"\x02\x21\x4c\x18": "lz4",
    b"\x89LZO": "lzo",
    b"BZh": "bzip2",
    b"\x5d\x00\x00": "lzma",
}
_SBAT = "sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md"
_SBAT_OF_UKIS = "uki,1,UKI,uki,1,https://uapi-group.org/specifications/specs/unified_kernel_image/"
"""By which a firmware can be told to start no UKI of this generation any more, shim's SBAT.md."""
_DLL_CHARACTERISTICS = 70
"""Where in the optional header they are."""
_NX_COMPAT = 0x100
_BOOT_HEADER = (0x202, b"HdrS")
_BOOT_VERSION = 0x20E
_VERSION = rb"(\d+\.[\w.+~-]+) \("


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """What goes into one; each section as its bytes are."""

    stub: bytes
    kernel: bytes
    """vmlinuz, as it is or in gzip."""
    release: bytes
    """os-release(5)."""
    initrds: Sequence[bytes] = ()
    """The kernel unpacks one over the other."""
    line: str | None = None
    """The command line; None leaves it to be added."""
    uname: str | None = None
    """The kernel's version; None looks for it in the kernel."""
    public: bytes | None = None
    """The key, in PEM, that signs what it is measured to."""


def make_uki(parts: Parts) -> bytes:
    """The EFI program. Raises BuildError for a kernel that firmware cannot start, and Error for a
    stub that is no EFI program or has no room."""
    kernel = _startable(parts.kernel)
    uname = parts.uname or kernel_version(kernel)
    own = [
        (".osrel", parts.release),
        (".cmdline", None if parts.line is None else parts.line.encode()),
        (".uname", None if uname is None else uname.encode()),
        (".pcrpkey", parts.public),
        (".linux", kernel),
        (".initrd", _joined(parts.initrds)),
    ]
    sections = [(name, content) for name, content in own if content]
    stub = _without_nx(parts.stub, kernel)
    return add_sections(replace_section(stub, ".sbat", _sbat(stub, kernel)), sections)


def kernel_version(kernel: bytes) -> str | None:
    """What `uname -r` says; None where the kernel does not tell it in a place that is known.

    The x86 boot protocol, and of other kernels their banner.
    """
    place, magic = _BOOT_HEADER
    if kernel[place : place + 4] == magic:
        start = int.from_bytes(kernel[_BOOT_VERSION : _BOOT_VERSION + 2], "little")
        found = re.match(_VERSION, kernel[start + 0x200 : start + 0x200 + 128])
    else:
        found = re.search(rb"Linux version " + _VERSION, kernel)
    return found[1].decode() if found else None


def _startable(kernel: bytes) -> bytes:
    """Debian's for arm64 is compressed as a whole."""
    if kernel.startswith(_GZIP):
        kernel = _unpacked(kernel)
    kind = next((one for magic, one in _COMPRESSED.items() if kernel.startswith(magic)), None)
    if kind is not None:
        raise BuildError(
            f"cannot make a UKI of a kernel that is compressed with {kind}",
            hint="firmware starts EFI programs alone: take the kernel's EFI image",
        )
    return kernel


def _unpacked(kernel: bytes) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    try:
        data = unpacker.decompress(kernel, _MOST)
    except zlib.error as error:
        raise BuildError(f"cannot unpack the kernel: {error}") from error
    if not unpacker.eof:
        whole = "it has more than 1 GiB" if len(data) >= _MOST else "its gzip data are cut off"
        raise BuildError(f"cannot unpack the kernel: {whole}")
    return data


def _joined(initrds: Sequence[bytes]) -> bytes:
    """One as it is; of several each as long as the kernel wants, a multiple of four bytes."""
    if len(initrds) == 1:
        return initrds[0]
    return b"".join(one + bytes(-len(one) % 4) for one in initrds)


def _sbat(*programs: bytes) -> bytes:
    lines = [line for one in programs for line in _own_sbat(one)]
    return "\n".join([_SBAT, *lines, _SBAT_OF_UKIS, "\0"]).encode()


def _own_sbat(program: bytes) -> list[str]:
    try:
        first, *lines = parse_program(blocks_of(program)).text(".sbat").splitlines() or [""]
    except Error:
        return []
    return lines if first.startswith("sbat,") else []


def _without_nx(stub: bytes, kernel: bytes) -> bytes:
    """The stub as strict about memory as the kernel is: firmware would refuse another kernel."""
    try:
        inside = read_headers(kernel).optional
    except Error:
        return stub
    (own,) = struct.unpack_from("<H", kernel, inside + _DLL_CHARACTERISTICS)
    if own & _NX_COMPAT:
        return stub
    made = bytearray(stub)
    place = read_headers(stub).optional + _DLL_CHARACTERISTICS
    (flags,) = struct.unpack_from("<H", stub, place)
    struct.pack_into("<H", made, place, flags & ~_NX_COMPAT)
    return bytes(made)
