"""Package indexes: `Packages` files, parsed once and kept in a form that loads at once.

A parsed index keeps each package's record undecoded: of seventy thousand, a resolution looks at a
few hundred.
"""

from collections.abc import Iterator, Sequence

import msgspec

from osloom.base.digest import Digest, from_hex

VERSION = 2
"""Raised when the parsed form changes."""

_FIELDS = {
    b"Package": "name",
    b"Version": "version",
    b"Architecture": "architecture",
    b"Multi-Arch": "multi_arch",
    b"Essential": "essential",
    b"Priority": "priority",
    b"Depends": "depends",
    b"Pre-Depends": "pre_depends",
    b"Recommends": "recommends",
    b"Conflicts": "conflicts",
    b"Breaks": "breaks",
    b"Provides": "provides",
    b"Suggests": "suggests",
    b"Replaces": "replaces",
    b"Enhances": "enhances",
    b"Filename": "path",
    b"Size": "size",
    b"SHA256": "sha256",
}
_PRIORITIES = ("required", "important", "standard", "optional", "extra")


class Candidate(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One version of one package in one repository."""

    name: str
    version: str = ""
    architecture: str = ""
    multi_arch: str = ""
    essential: str = ""
    priority: str = ""
    depends: str = ""
    pre_depends: str = ""
    recommends: str = ""
    conflicts: str = ""
    breaks: str = ""
    provides: str = ""
    path: str = ""
    size: str = ""
    sha256: str = ""

    @property
    def rank(self) -> int:
        """Of the priority; lower is more wanted."""
        return _PRIORITIES.index(self.priority) if self.priority in _PRIORITIES else 9

    @property
    def digest(self) -> Digest:
        return from_hex(self.sha256)


class ParsedIndex(msgspec.Struct, frozen=True):
    """One `Packages` file."""

    packages: dict[str, list[msgspec.Raw]]
    """Records by name."""
    provides: dict[str, list[str]]
    """Names of the packages that provide a name, in the order of the file."""
    essential: list[str]
    order: dict[str, int]
    """When a name that several packages provide, or that provides one, was first mentioned: apt
    settles what nothing else does by it."""


_KEPT = set(Candidate.__struct_fields__)
_MENTIONS = (
    "depends",
    "pre_depends",
    "suggests",
    "recommends",
    "conflicts",
    "breaks",
    "replaces",
    "enhances",
    "provides",
)
"""The order in which apt reads the fields of a package."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(ParsedIndex)
_record = msgspec.msgpack.Decoder(Candidate)


def decompress(data: bytes, name: str) -> bytes:
    if name.endswith(".xz"):
        import lzma

        return lzma.decompress(data)
    if name.endswith(".gz"):
        import gzip

        return gzip.decompress(data)
    return data


def parse_index(data: bytes) -> ParsedIndex:
    """Parse the text of a `Packages` file."""
    packages: dict[str, list[msgspec.Raw]] = {}
    provides: dict[str, list[str]] = {}
    essential: list[str] = []
    mentioned: dict[str, int] = {}
    for stanza in data.split(b"\n\n"):
        fields = _parse_stanza(stanza)
        if fields is None:
            continue
        candidate = Candidate(**{name: fields[name] for name in fields if name in _KEPT})
        name = candidate.name
        packages.setdefault(name, []).append(msgspec.Raw(_encoder.encode(candidate)))
        mentioned.setdefault(name, len(mentioned))
        for provided in _names(candidate.provides):
            users = provides.setdefault(provided, [])
            if name not in users:
                users.append(name)
        if candidate.essential == "yes":
            essential.append(name)
        for field in _MENTIONS:
            for wanted in _names(fields.get(field, "")):
                mentioned.setdefault(wanted, len(mentioned))
    relevant = {name for users in provides.values() for name in users}
    order = {name: place for name, place in mentioned.items() if name in relevant}
    return ParsedIndex(packages=packages, provides=provides, essential=essential, order=order)


def _parse_stanza(stanza: bytes) -> dict[str, str] | None:
    found: dict[str, str] = {}
    for line in stanza.split(b"\n"):
        field, colon, value = line.partition(b":")
        name = _FIELDS.get(field)
        if name is not None and colon:
            found[name] = value.strip().decode(errors="replace")
    if not {"name", "version", "path", "size", "sha256"} <= found.keys():
        return None
    return found


def _names(relations: str) -> Iterator[str]:
    if not relations:
        return
    for part in relations.replace("|", ",").split(","):
        name = part.strip().split(" ", 1)[0].split(":", 1)[0].split("(", 1)[0]
        if name:
            yield name


def encode_index(index: ParsedIndex) -> bytes:
    return _encoder.encode(index)


def decode_index(data: bytes) -> ParsedIndex:
    return _decoder.decode(data)


def candidates(index: ParsedIndex, name: str) -> Sequence[Candidate]:
    return [_record.decode(raw) for raw in index.packages.get(name, ())]
