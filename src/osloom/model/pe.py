"""What is in a UKI: the sections of a PE file, and what those of systemd-stub(7) say.

https://uapi-group.org/specifications/specs/unified_kernel_image/
"""

import shlex
from collections.abc import Mapping

import msgspec

from osloom.model.blocks import Blocks
from osloom.model.pe_headers import read_headers

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
    head = file.read(0, min(file.size, _HEAD))
    headers = read_headers(head)
    sections: dict[str, Blocks] = {}
    for one in headers.sections:
        # A UKI with profiles has their sections behind those that all of them share.
        sections.setdefault(one.name, file.window(one.place, min(one.size, one.room)))
    is_signed = headers.certificates is not None and any(
        head[headers.certificates + 4 : headers.certificates + 8]
    )
    return Program(sections=sections, is_signed=is_signed)


def _unquoted(value: str) -> str:
    try:
        return "".join(shlex.split(value))
    except ValueError:
        return value
