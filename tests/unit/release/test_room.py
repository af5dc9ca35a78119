"""What devices have room for is the least that was ever made."""

from pathlib import Path

import msgspec
import pytest

from osloom.base.digest import digest_bytes
from osloom.base.errors import Error, FetchError
from osloom.model.size import MIB
from osloom.release.room import bounded, room_of
from osloom.release.version import Release, ReleaseFile, Room

ID = "edge-gateway"
SMALL = Room(slot=256 * MIB, esp=128 * MIB)
LARGE = Room(slot=512 * MIB, esp=256 * MIB)
SIGNED = Room(slot=512 * MIB, esp=256 * MIB, signature=True)
TRUSTED = Room(slot=512 * MIB, esp=256 * MIB, secure_boot="ab" * 32)


def release(*, root: int = 1, uki: int = 1, room: Room | None = LARGE) -> Release:
    sizes = {f"{ID}_7_{'0123abcd' * 4}.root": root * MIB, f"{ID}_7.efi": uki * MIB}
    files = [
        ReleaseFile(name=name, path=Path("/absent"), digest=digest_bytes(b""), size=size)
        for name, size in sizes.items()
    ]
    return Release(id=ID, version="7", epoch=1, files=tuple(files), room=room)


@pytest.mark.parametrize(
    ("own", "before", "least"),
    [
        (LARGE, SMALL, SMALL),
        (SMALL, LARGE, SMALL),
        (LARGE, None, LARGE),
        (None, SMALL, None),
        (
            Room(slot=1, esp=128 * MIB),
            Room(slot=2 * MIB, esp=64 * MIB),
            Room(slot=1, esp=64 * MIB),
        ),
        (SIGNED, LARGE, SIGNED),
        (SIGNED, SIGNED, SIGNED),
        (TRUSTED, LARGE, TRUSTED),
        (TRUSTED, TRUSTED, TRUSTED),
    ],
)
def test_the_least_is_kept(own: Room | None, before: Room | None, least: Room | None) -> None:
    made = bounded(release(root=0, room=own), before)
    assert made.room == least
    assert room_of(made.manifest(), where="it") == least


def test_what_fits_exactly_is_released() -> None:
    assert bounded(release(root=256, uki=56), SMALL).room == SMALL


@pytest.mark.parametrize(
    ("root", "uki", "said"),
    [
        (257, 1, "its root of 257 MiB would not fit into slots of 256 MiB"),
        (1, 57, "two UKIs of 57 MiB would not fit into an ESP of 128 MiB"),
    ],
)
def test_what_older_devices_have_no_room_for_is_refused(root: int, uki: int, said: str) -> None:
    with pytest.raises(Error) as caught:
        bounded(release(root=root, uki=uki), SMALL)
    assert caught.value.message == (
        f"cannot release version 7 of `{ID}`: {said}, which devices have that were made before"
    )


def test_a_device_with_a_place_for_a_signature_waits_for_one() -> None:
    with pytest.raises(Error) as caught:
        bounded(release(room=LARGE), SIGNED)
    assert caught.value.message == (
        f"cannot release version 7 of `{ID}`: its root hash is not signed, and devices that were"
        " made before wait for a version that is"
    )
    assert caught.value.hint == "name the verity key in `[keys]` again"


@pytest.mark.parametrize(
    ("own", "said"),
    [
        (None, "not signed for secure boot"),
        ("cd" * 32, "signed by another secure boot key"),
    ],
)
def test_firmware_starts_no_uki_that_another_key_signed(own: str | None, said: str) -> None:
    with pytest.raises(Error) as caught:
        bounded(release(room=msgspec.structs.replace(TRUSTED, secure_boot=own)), TRUSTED)
    assert caught.value.message == (
        f"cannot release version 7 of `{ID}`: its UKI is {said}, and the firmware of devices that"
        " were made before would not start it"
    )
    assert caught.value.hint == (
        f"name the secure boot key of the certificate {'ab' * 32} in `[keys]` again; where every"
        " device has come to trust another one, say `--new-secure-boot-key`"
    )


def test_devices_may_come_to_trust_another_key_but_none_that_nobody_signed() -> None:
    other = msgspec.structs.replace(TRUSTED, secure_boot="cd" * 32)
    made = msgspec.structs.replace(release(room=other), is_key_new=True)
    assert bounded(made, TRUSTED).room == other
    unsigned = msgspec.structs.replace(made, room=msgspec.structs.replace(other, secure_boot=None))
    with pytest.raises(Error, match="not signed for secure boot"):
        bounded(unsigned, TRUSTED)


def test_a_manifest_from_before_asks_for_no_key() -> None:
    text = b'{"room": {"slot": 536870912, "esp": 268435456, "signature": false}}'
    assert bounded(release(room=TRUSTED), room_of(text, where="it")).room == TRUSTED


@pytest.mark.parametrize("text", ["", "[]", '{"room": {"slot": "1"}}', '{"room": {"slot": 1}}'])
def test_a_manifest_that_is_none(text: str) -> None:
    with pytest.raises(FetchError, match="cannot use it: it is no manifest"):
        room_of(text.encode(), where="it")
