"""The headers of a PE file, which every EFI program is: PE Format."""

import struct

import msgspec

from osloom.base.errors import Error

_SECTION = struct.Struct("<8sIIII")
SECTION_SIZE = 40
"""Bytes of what the headers say of one section."""
_PE32, _PE32_PLUS = 0x10B, 0x20B
_SECURITY = 4
"""Which data directory has the place of the certificate table."""


class Section(msgspec.Struct, frozen=True):
    """What the headers say of a section; in bytes."""

    name: str
    size: int
    """In memory."""
    address: int
    """In memory."""
    room: int
    """In the file, where it may be padded, or end before what is in memory does."""
    place: int
    """In the file."""


class Headers(msgspec.Struct, frozen=True, kw_only=True):
    """Places are offsets in bytes from the start of the file."""

    header: int
    """Of the PE header."""
    optional: int
    """Of the optional header."""
    certificates: int | None
    """Of the entry that has place and size of the certificate table; None without room for one."""
    table: int
    """Of the section table."""
    size: int
    """Of all headers together."""
    sections: tuple[Section, ...]

    @property
    def table_end(self) -> int:
        return self.table + SECTION_SIZE * len(self.sections)


def read_headers(head: bytes | memoryview) -> Headers:
    """The headers at the start of a file. Raises Error when it is none."""
    try:
        return _read(head)
    except struct.error as error:
        raise damaged("its headers are cut off") from error


def _read(head: bytes | memoryview) -> Headers:
    if head[:2] != b"MZ":
        raise damaged("it does not begin with `MZ`")
    (header,) = struct.unpack_from("<I", head, 0x3C)
    if head[header : header + 4] != b"PE\0\0":
        raise damaged("it has no PE header")
    count, options = struct.unpack_from("<xxH12xH", head, header + 4)
    optional = header + 24
    (magic,) = struct.unpack_from("<H", head, optional)
    if magic not in (_PE32, _PE32_PLUS):
        raise damaged(f"it is of the unknown kind {magic:#x}")
    directories = optional + (96 if magic == _PE32 else 112)
    (size,) = struct.unpack_from("<I", head, optional + 60)
    (entries,) = struct.unpack_from("<I", head, directories - 4)
    security = directories + 8 * _SECURITY
    table = optional + options
    if table + SECTION_SIZE * count > size:
        raise damaged("its sections are described outside its headers")
    has_security = entries > _SECURITY and security + 8 <= table
    return Headers(
        header=header,
        optional=optional,
        certificates=security if has_security else None,
        table=table,
        size=size,
        sections=tuple(_section(head, table + SECTION_SIZE * one) for one in range(count)),
    )


def _section(head: bytes | memoryview, place: int) -> Section:
    name, *numbers = _SECTION.unpack_from(head, place)
    return Section(name.rstrip(b"\0").decode(errors="replace"), *numbers)


def damaged(cause: str) -> Error:
    return Error(
        f"cannot read the EFI program: {cause}", hint="make it again: it is not a whole PE file"
    )
