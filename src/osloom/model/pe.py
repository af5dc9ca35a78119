"""What is in a UKI: the sections of a PE file, and what those of systemd-stub(7) say.

PE Format; https://uapi-group.org/specifications/specs/unified_kernel_image/
"""

import shlex
import struct
from collections.abc import Mapping

import msgspec

from osloom.base.errors import Error
from osloom.model.blocks import Blocks

_SECTION = struct.Struct("<8sIIII")
_SECTION_SIZE = 40
_HEAD = 4096
"""Bytes that surely hold all headers of a UKI."""
_LONGEST_TEXT = 65536


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """An EFI program."""

    sections: Mapping[str, Blocks]
    is_signed: bool
    """Whether it holds signatures at all; none of them is verified."""

    def text(self, section: str) -> str:
        """What a section of text says; nothing where there is none."""
        found = self.sections.get(section)
        raw = found.read(0, min(found.size, _LONGEST_TEXT)) if found else b""
        return raw.rstrip(b"\0").decode(errors="replace").strip()

    def release(self) -> Mapping[str, str]:
        """os-release(5) of the system that it starts."""
        found = {}
        for line in self.text(".osrel").splitlines():
            name, is_setting, value = line.partition("=")
            if is_setting and not name.startswith("#"):
                found[name.strip()] = _unquoted(value)
        return found

    def option(self, name: str) -> str | None:
        """The value of a word `name=VALUE` of the kernel's command line."""
        words = [word.partition("=") for word in self.text(".cmdline").split()]
        return next((value for key, _, value in words if key == name), None)


def parse_program(file: Blocks) -> Program:
    """Raises Error when it is no PE file, or a section lies outside of it."""
    try:
        return _parse(file, file.read(0, min(file.size, _HEAD)))
    except struct.error as error:
        raise Error("it is no EFI program: its headers are cut off") from error


def _parse(file: Blocks, head: bytes) -> Program:
    if head[:2] != b"MZ":
        raise Error("it is no EFI program: it does not begin with `MZ`")
    (place,) = struct.unpack_from("<I", head, 0x3C)
    if head[place : place + 4] != b"PE\0\0":
        raise Error("it is no EFI program: it has no PE header")
    count, options = struct.unpack_from("<xxH12xH", head, place + 4)
    optional = place + 24
    (magic,) = struct.unpack_from("<H", head, optional)
    # The fifth of the data directories has the place and the size of the signatures.
    directory = optional + (96 if magic == 0x10B else 112) + 8 * 4
    (signatures,) = struct.unpack_from("<4xI", head, directory)
    sections: dict[str, Blocks] = {}
    for number in range(count):
        entry = optional + options + number * _SECTION_SIZE
        name, size, _, room, start = _SECTION.unpack_from(head, entry)
        # What is in the file may be padded, or end before what is in memory does.
        content = file.window(start, min(size, room))
        # A UKI with profiles has their sections behind those that all of them share.
        sections.setdefault(name.rstrip(b"\0").decode(errors="replace"), content)
    return Program(sections=sections, is_signed=signatures > 0)


def _unquoted(value: str) -> str:
    try:
        return "".join(shlex.split(value))
    except ValueError:
        return value
