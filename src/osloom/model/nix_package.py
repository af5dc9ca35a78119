"""What the name of a store path says: package, version, output."""

import msgspec

from osloom.model.store_path import name_part

_OUTPUTS = frozenset(
    ("bin", "data", "debug", "dev", "devdoc", "dist", "doc", "info", "lib", "man", "out", "static")
)
"""Outputs that derivations of nixpkgs have; the name of one ends its path's, but for `out`."""


class PackageName(msgspec.Struct, frozen=True):
    """`curl-8.9.1-bin` is the output `bin` of `curl`, version `8.9.1`."""

    package: str
    version: str = ""
    output: str = "out"


def parse_package_name(name: str) -> PackageName:
    """Of the base name of a store path.

    The version starts after the first dash before something else than a letter, as
    `builtins.parseDrvName` has it.
    """
    text = name_part(name)
    rest, _, last = text.rpartition("-")
    output = last if rest and last in _OUTPUTS else "out"
    text = rest if output != "out" else text
    for place, letter in enumerate(text[:-1]):
        following = text[place + 1]
        if letter == "-" and not (following.isascii() and following.isalpha()):
            return PackageName(text[:place], text[place + 1 :], output)
    return PackageName(text, "", output)
