"""Whether a version fits on the devices that there are: their partitions never change.

A disk keeps the slots and the ESP that it was made with. A larger `slot-size` is that of devices
which are still to be made. The others would refuse such a version, and never take one without a
signature for which they have a place; each by itself, and unheard. What its firmware does not trust
a device takes, and then waits until somebody switches it off and on.
"""

import msgspec

from osloom.base.errors import Error, FetchError
from osloom.model.appliance import fits_esp
from osloom.model.size import MIB
from osloom.release.version import Release, Room


class _Manifest(msgspec.Struct):
    room: Room | None = None


def room_of(manifest: bytes, *, where: str) -> Room | None:
    """What a version's manifest says. Raises FetchError for what is none."""
    try:
        return msgspec.json.decode(manifest, type=_Manifest).room
    except msgspec.MsgspecError as error:
        raise FetchError(f"cannot use {where}: it is no manifest: {error}") from error


def bounded(release: Release, before: Room | None) -> Release:
    """`release` with the room that all devices have: those of the version before have `before`.

    Raises Error when it does not fit there.
    """
    if release.room is None or before is None:
        return release
    least = Room(
        slot=min(release.room.slot, before.slot),
        esp=min(release.room.esp, before.esp),
        signature=release.room.signature or before.signature,
        secure_boot=release.room.secure_boot,
    )
    root, uki = release.largest(".root"), release.largest(".efi")
    if root > least.slot:
        raise _too_large(release, f"its root of {_mib(root)} MiB", f"slots of {_mib(least.slot)}")
    if not fits_esp(uki, least.esp):
        raise _too_large(release, f"two UKIs of {_mib(uki)} MiB", f"an ESP of {_mib(least.esp)}")
    if least.signature and not release.room.signature:
        raise Error(
            f"cannot release version {release.version} of `{release.id}`: its root hash is not "
            "signed, and devices that were made before wait for a version that is",
            hint="name the verity key in `[keys]` again",
        )
    is_other = release.room.secure_boot != before.secure_boot
    if before.secure_boot and is_other and not (release.room.secure_boot and release.is_key_new):
        raise _untrusted(release, release.room.secure_boot, before.secure_boot)
    return msgspec.structs.replace(release, room=least)


def _too_large(release: Release, what: str, place: str) -> Error:
    return Error(
        f"cannot release version {release.version} of `{release.id}`: {what} would not fit "
        f"into {place} MiB, which devices have that were made before",
        hint="leave packages out; devices with more room are made from a channel of their own",
    )


def _untrusted(release: Release, own: str | None, trusted: str) -> Error:
    said = "signed by another secure boot key" if own else "not signed for secure boot"
    return Error(
        f"cannot release version {release.version} of `{release.id}`: its UKI is {said}, and the "
        "firmware of devices that were made before would not start it",
        hint=f"name the secure boot key of the certificate {trusted} in `[keys]` again; where every "
        "device has come to trust another one, say `--new-secure-boot-key`",
    )


def _mib(size: int) -> int:
    """Whole MiB, rounded up."""
    return -(-size // MIB)
