"""The keys that a definition names, opened for signing."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from osloom.base.errors import Error
from osloom.keys.certificate import check_dates, load_certificate
from osloom.keys.openpgp import (
    CommandReleaseSigner,
    FileReleaseSigner,
    ReleaseSigner,
    TokenReleaseSigner,
    certificates,
)
from osloom.keys.places import ROLES, Place, find_place
from osloom.keys.signer import CommandSigner, FileSigner, Signer, read_key
from osloom.keys.token import TokenSigner
from osloom.model.efi_variable import VARIABLES
from osloom.model.providers import Keys


class SigningKeys(msgspec.Struct, frozen=True, kw_only=True):
    """What the table `[keys]` names; None where it names nothing."""

    release: ReleaseSigner | None = None
    verity: Signer | None = None
    secure_boot: Signer | None = None
    """Signs EFI programs; its certificate is in the firmware's `db`."""
    enrolment: Mapping[str, bytes] = {}
    """`PK.auth`, `KEK.auth` and `db.auth` for /loader/keys/NAME of the ESP, systemd-boot(7)."""
    warnings: tuple[str, ...] = ()
    """One sentence each, for people."""


def open_keys(keys: Keys, base: Path, *, now: int) -> SigningKeys:
    """Open the keys of `[keys]`; `base` is the definition's directory, `now` in seconds since 1970.

    Raises Error with one sentence when a key is missing, does not match its certificate, or is out
    of date.
    """
    places = {role: find_place(keys, role, base) for role in ROLES}
    release, verity, secure_boot = (places[role] for role in ROLES)
    return SigningKeys(
        release=open_release(release, now=now) if release else None,
        verity=open_signer(verity, now=now) if verity else None,
        secure_boot=open_secure_boot(secure_boot, now=now) if secure_boot else None,
        enrolment=read_enrolment(secure_boot.public) if secure_boot else {},
        warnings=tuple(said for place in places.values() if place for said in warn(place, now=now)),
    )


def open_release(place: Place, *, now: int) -> ReleaseSigner:
    """The key that signs releases. Raises Error."""
    public = read_key(place.public)
    for one in certificates(public, name=str(place.public)):
        if one.is_revoked or (one.expiration and one.expiration.timestamp() < now):
            raise Error(
                f"cannot use {place.public}: the key {one.fingerprint} is revoked or out of date",
                hint="take it out of the file, and bring the others onto the devices first",
            )
    if place.key is not None:
        return FileReleaseSigner(place.key, public)
    if place.command:
        return CommandReleaseSigner(place.command, place.base, public)
    assert place.uri is not None
    return TokenReleaseSigner(place.uri, place.base, public, now=now)


def open_signer(place: Place, *, now: int) -> Signer:
    """A key that has a certificate. Raises Error."""
    certificate = load_certificate(place.public)
    check_dates(certificate, place.public, now=now)
    if place.key is not None:
        return FileSigner(place.key, certificate)
    if place.command:
        return CommandSigner(place.command, place.base, certificate)
    assert place.uri is not None
    return TokenSigner(place.uri, place.base, certificate)


def open_secure_boot(place: Place, *, now: int) -> Signer:
    """The key that signs EFI programs. Raises Error."""
    from cryptography.hazmat.primitives.asymmetric import rsa

    signer = open_signer(place, now=now)
    if not isinstance(signer.certificate.public_key(), rsa.RSAPublicKey):
        raise Error(
            f"cannot sign EFI programs with {place.public}: firmware knows RSA keys only",
            hint="`osloom keys new` makes one",
        )
    return signer


def read_enrolment(certificate: Path) -> Mapping[str, bytes]:
    """The signed updates of secure boot's variables beside the certificate of `db`.

    None at all is well: keys may be in the firmware already. Raises Error when some are missing, or
    when one does not bring its certificate, where that lies there.
    """
    from cryptography.hazmat.primitives.serialization import Encoding

    paths = [certificate.with_name(f"{name}.auth") for name in VARIABLES]
    if not any(path.exists() for path in paths):
        return {}
    found = {path.name: read_key(path) for path in paths}
    for path in paths:
        own = certificate if path.name == "db.auth" else path.with_suffix(".crt")
        is_there = own == certificate or own.exists()
        if is_there and load_certificate(own).public_bytes(Encoding.DER) not in found[path.name]:
            lost = "what is signed" if own == certificate else "changes that its key signs"
            raise Error(
                f"cannot enrol {path}: it does not bring the certificate {own}",
                hint=f"firmware would refuse {lost}: keep the files that were made together",
            )
    return found


def warn(place: Place, *, now: int) -> Iterator[str]:
    """What is not wrong, but not well either."""
    if place.key is not None and place.key.exists() and place.key.stat().st_mode & 0o077:
        yield f"{place.key} can be read by other users of this machine: `chmod 600 {place.key}`"
    if place.role != "release":
        near_end = check_dates(load_certificate(place.public), place.public, now=now)
        if near_end:
            yield near_end
