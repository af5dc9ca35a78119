"""What is on a disk: partitions, slots with their versions, and what can start them.

A slot is a partition with a root, or /usr, and one with its dm-verity hashes. Their ids are the
halves of the root hash, and the UKI that starts them has the whole of it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal
from uuid import UUID

import msgspec

from osloom.base.errors import Error
from osloom.model.blocks import Blocks
from osloom.model.esp import Esp, Uki, read_esp
from osloom.model.gpt import EMPTY, Partition, parse_gpt
from osloom.model.verity_check import find_damage
from osloom.model.verity_signature import VeritySignature, check_root_hash, read_signature

_MAGIC = {
    "btrfs": (65600, b"_BHRfS_M"),
    "erofs": (1024, b"\xe2\xe1\xf5\xe0"),
    "ext4": (1080, b"\x53\xef"),
    "luks": (0, b"LUKS\xba\xbe"),
    "squashfs": (0, b"hsqs"),
    "swap": (4086, b"SWAPSPACE2"),
    "verity": (0, b"verity\0\0"),
    "vfat": (510, b"\x55\xaa"),
}

Check = Literal["not checked", "whole", "damaged"]
SignatureCheck = Literal["not verified", "verified", "wrong"]

Judge = Callable[[VeritySignature], bool]
"""Whether a signature is verified; raises Error where it is wrong."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A partition; sizes and places are bytes."""

    number: int
    label: str
    type: str
    id: UUID
    offset: int
    size: int
    holds: str | None
    """A file system, `luks`, `swap`, or `verity` for hashes."""


class Slot(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    """A letter, in the order of the disk."""
    id: str | None
    """Of the appliance; None where the slot is empty."""
    version: str | None
    root: int
    """Number of its partition."""
    hashes: int
    signature: int | None
    """Number of the partition with the signature of the root hash."""
    signed_by: str | None = None
    """SHA-256 of the certificate that this partition names."""
    signature_check: SignatureCheck = "not verified"
    """Whether that certificate has signed the root hash; whose it is nobody knows here."""
    root_hash: str | None
    """What the ids of its partitions say."""
    uki: str | None
    """The path of the UKI that starts it."""
    is_default: bool
    """Whether it starts when nobody chooses."""
    check: Check = "not checked"
    """Of every block against the root hash."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    size: int
    id: UUID
    partitions: tuple[Part, ...]
    slots: tuple[Slot, ...]
    esp: Esp | None
    problems: tuple[str, ...]
    """Sentences; none for a disk that is as it should be."""


def read_disk(disk: Blocks, *, verify: bool = False, judge: Judge = lambda _: False) -> Report:
    """Look at a disk; with `verify` at every block of its slots. `judge` verifies the signatures
    of their root hashes.

    Raises Error when there are no partitions to be found.
    """
    table = parse_gpt(disk)
    problems = list(table.problems)
    esp = None
    for one in table.partitions:
        if one.type == "esp" and esp is None:
            try:
                esp = read_esp(disk.window(one.offset, one.size), verify=verify)
            except Error as error:
                problems.append(error.message)
    slots = list(_slots(table.partitions, esp))
    by_number = {one.number: one for one in table.partitions}
    slots = [_signed(disk, slot, by_number, problems, judge) for slot in slots]
    if verify:
        slots = [_checked(disk, slot, by_number, problems) for slot in slots]
    problems += _problems(slots, esp)
    return Report(
        size=disk.size,
        id=table.id,
        partitions=tuple(_part(disk, one) for one in table.partitions),
        slots=tuple(slots),
        esp=esp,
        problems=tuple(problems),
    )


def _part(disk: Blocks, one: Partition) -> Part:
    content = disk.window(one.offset, one.size)
    holds = (
        name
        for name, (place, magic) in _MAGIC.items()
        if place + len(magic) <= one.size and content.read(place, len(magic)) == magic
    )
    return Part(
        number=one.number,
        label=one.label,
        type=one.type,
        id=one.id,
        offset=one.offset,
        size=one.size,
        holds=next(holds, None),
    )


def _slots(partitions: Sequence[Partition], esp: Esp | None) -> Iterator[Slot]:
    """The first root with the first hashes of its kind, and so on, as a device finds them."""
    ordered = sorted(partitions, key=lambda one: one.offset)
    of_type: dict[str, list[Partition]] = {}
    for one in ordered:
        of_type.setdefault(one.type, []).append(one)
    ukis = {uki.root_hash: uki for uki in reversed(esp.ukis)} if esp else {}
    letters = iter("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    for kind, roots in of_type.items():
        hashes = of_type.get(f"{kind}-verity", [])
        signatures = {one.label: one.number for one in of_type.get(f"{kind}-verity-sig", [])}
        for root, own, letter in zip(roots, hashes, letters, strict=False):
            identity, _, version = root.label.rpartition("_")
            is_empty = EMPTY in (root.label, own.label) or not identity
            root_hash = None if is_empty else root.id.hex + own.id.hex
            uki = ukis.get(root_hash) if root_hash else None
            yield Slot(
                name=letter,
                id=None if is_empty else identity,
                version=None if is_empty else version,
                root=root.number,
                hashes=own.number,
                signature=None if is_empty else signatures.get(root.label),
                root_hash=root_hash,
                uki=uki.path if uki else None,
                is_default=uki is not None and esp is not None and uki.path == esp.default,
            )


def _signed(
    disk: Blocks,
    slot: Slot,
    by_number: Mapping[int, Partition],
    problems: list[str],
    judge: Judge,
) -> Slot:
    if slot.signature is None:
        return slot
    place = by_number[slot.signature]
    try:
        found = read_signature(disk.window(place.offset, place.size))
        check_root_hash(found, slot.root_hash)
        slot = msgspec.structs.replace(slot, signed_by=found.certificate_fingerprint)
        check: SignatureCheck = "verified" if judge(found) else "not verified"
    except Error as error:
        problems.append(f"slot {slot.name}, version {slot.version}: {error.message}")
        check = "wrong"
    return msgspec.structs.replace(slot, signature_check=check)


def _checked(
    disk: Blocks, slot: Slot, by_number: Mapping[int, Partition], problems: list[str]
) -> Slot:
    if slot.root_hash is None:
        return slot
    root, hashes = (
        disk.window(by_number[number].offset, by_number[number].size)
        for number in (slot.root, slot.hashes)
    )
    try:
        damage = find_damage(root, hashes, slot.root_hash)
    except Error as error:
        damage = error.message
    if damage is not None:
        problems.append(f"slot {slot.name}, version {slot.version}: {damage}")
    return msgspec.structs.replace(slot, check="damaged" if damage else "whole")


def _problems(slots: Sequence[Slot], esp: Esp | None) -> Iterator[str]:
    known = {slot.root_hash: slot for slot in slots if slot.root_hash}
    for slot in slots:
        # A disk without ESP starts nothing: an extension, or the data of a service.
        if esp is not None and slot.version is not None and slot.uki is None:
            yield f"slot {slot.name}, version {slot.version}: no UKI has its root hash"
    for uki in esp.ukis if esp else ():
        yield from _problems_of(uki, known)


def _problems_of(uki: Uki, known: Mapping[str, Slot]) -> Iterator[str]:
    if uki.signature == "damaged":
        yield f"`{uki.path}`: it was changed after it was signed"
    if uki.problem:
        yield f"`{uki.path}`: {uki.problem}"
    elif uki.root_hash is not None and uki.root_hash not in known:
        yield f"`{uki.path}`: no slot has its root hash {uki.root_hash}"
    elif uki.root_hash is not None and known[uki.root_hash].version != uki.version:
        version = known[uki.root_hash].version
        yield f"`{uki.path}`: it says version {uki.version}, and its slot version {version}"
