"""What the ESP of a disk can start, and what systemd-boot starts when nobody chooses.

https://uapi-group.org/specifications/specs/boot_loader_specification/, systemd-boot(7)
"""

import fnmatch
import re
from collections.abc import Sequence
from typing import Literal

import msgspec

from osloom.base.errors import Error
from osloom.model.authenticode import digest, signatures
from osloom.model.blocks import Blocks
from osloom.model.fat import Entry, Fat
from osloom.model.pe import Program, parse_program

_UKIS = "EFI/Linux"
_ENTRIES = "loader/entries"
_KEYS = "loader/keys"
_LOADER = "loader/loader.conf"
_COUNTED = re.compile(r"(?P<name>.+?)(\+(?P<left>[0-9]{1,9})(-(?P<done>[0-9]{1,9}))?)?\.(efi|conf)")
_LONGEST = 65536


Signature = Literal["none", "not checked", "whole", "damaged"]


class Uki(msgspec.Struct, frozen=True, kw_only=True):
    """A kernel with what it starts, as one file."""

    path: str
    """On the ESP."""
    size: int
    id: str
    """IMAGE_ID of its os-release(5), or ID."""
    version: str
    title: str
    root_hash: str | None
    """Of dm-verity, as its command line says it."""
    tries_left: int | None
    """None when it is not counted: it was found good, or never on trial."""
    tries_done: int | None
    signature: Signature
    """Whether what signed it signed this very file; by whom is for the firmware to judge."""
    problem: str = ""
    """Why it could not be read."""


class Esp(msgspec.Struct, frozen=True, kw_only=True):
    size: int
    """Bytes for files."""
    free: int
    ukis: tuple[Uki, ...]
    """As systemd-boot sorts them: those without tries left are last."""
    entries: tuple[str, ...]
    """Other boot entries, by their paths."""
    keys: tuple[str, ...]
    """Sets of keys for secure boot that systemd-boot can enrol."""
    default: str | None
    """The path of the UKI that starts when nobody chooses."""
    menu: tuple[str, ...]
    """Lines of loader.conf(5)."""


def read_esp(volume: Blocks, *, verify: bool = False) -> Esp:
    """With `verify`, signatures are compared with what they are of.

    Raises Error when it holds no whole FAT file system.
    """
    files = Fat(volume)
    ukis = sorted(
        (_read_uki(files, one, verify=verify) for one in files.entries(_UKIS) if _is_uki(one)),
        key=_order,
    )
    loader = files.find(_LOADER)
    menu = tuple(_text(files, loader).splitlines()) if loader else ()
    return Esp(
        size=files.size,
        free=files.free,
        ukis=tuple(ukis),
        entries=_paths(files, _ENTRIES, ".conf"),
        keys=_paths(files, _KEYS, ""),
        default=_default(ukis, menu),
        menu=menu,
    )


def natural(text: str) -> list[tuple[int, int, str]]:
    """A key that sorts numbers within texts as numbers."""
    parts = re.findall(r"0*([0-9]+)|([^0-9]+)", text)
    return [(1, len(number), number) if number else (0, 0, other) for number, other in parts]


def _is_uki(one: Entry) -> bool:
    return not one.is_directory and one.name.lower().endswith(".efi")


def _read_uki(files: Fat, entry: Entry, *, verify: bool) -> Uki:
    counted = _COUNTED.fullmatch(entry.name)
    left, done = (counted["left"], counted["done"]) if counted else (None, None)
    problem = ""
    signature: Signature = "none"
    try:
        content = files.open(entry)
        program = parse_program(content)
        release = program.release()
        if program.is_signed:
            signature = _check_signature(content) if verify else "not checked"
    except Error as error:
        program, release = Program(sections={}, is_signed=False), {}
        problem = error.message
    return Uki(
        path=f"{_UKIS}/{entry.name}",
        size=entry.size,
        id=release.get("IMAGE_ID") or release.get("ID", ""),
        version=release.get("IMAGE_VERSION") or release.get("VERSION_ID", ""),
        title=release.get("PRETTY_NAME", ""),
        root_hash=program.option("roothash") or program.option("usrhash"),
        tries_left=None if left is None else int(left),
        tries_done=None if left is None else int(done or 0),
        signature=signature,
        problem=problem,
    )


def _check_signature(content: Blocks) -> Signature:
    """Every signature holds the digest of what it is of."""
    image = content.read(0, content.size)
    own, found = digest(image), signatures(image)
    return "whole" if found and all(own in message for message in found) else "damaged"


def entry_id(path: str) -> str:
    """The name of a boot entry without its counters."""
    name = path.rpartition("/")[2]
    counted = _COUNTED.fullmatch(name)
    return f"{counted['name']}.{name.rpartition('.')[2]}" if counted else name


class _Downwards:
    """Turns an order around."""

    def __init__(self, key: list[tuple[int, int, str]]) -> None:
        self._key = key

    def __lt__(self, other: "_Downwards") -> bool:
        return other._key < self._key

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Downwards) and other._key == self._key

    __hash__ = None  # type: ignore[assignment]


def _order(uki: Uki) -> tuple[bool, bool, str, _Downwards, _Downwards]:
    return (
        bool(uki.problem),
        uki.tries_left == 0,
        uki.id,
        _Downwards(natural(uki.version)),
        _Downwards(natural(entry_id(uki.path))),
    )


def _default(ukis: Sequence[Uki], menu: Sequence[str]) -> str | None:
    """By loader.conf(5): the first that fits its pattern, or else the first of all."""
    settings = dict(line.split(None, 1) for line in menu if len(line.split(None, 1)) == 2)
    pattern = settings.get("default", "").strip().lower()
    readable = [uki for uki in ukis if not uki.problem]
    fitting = [one for one in readable if fnmatch.fnmatchcase(entry_id(one.path).lower(), pattern)]
    return next((uki.path for uki in (*fitting, *readable)), None)


def _paths(files: Fat, directory: str, ending: str) -> tuple[str, ...]:
    found = (one.name for one in files.entries(directory) if one.name.lower().endswith(ending))
    return tuple(f"{directory}/{name}" for name in sorted(found))


def _text(files: Fat, file: Entry) -> str:
    content = files.open(file)
    return content.read(0, min(content.size, _LONGEST)).decode(errors="replace")
