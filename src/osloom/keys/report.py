"""What is there of keys, for people: fingerprints, algorithms, ends, and what is wrong."""

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from osloom.base.errors import Error
from osloom.keys.certificate import check_dates, load_certificate
from osloom.keys.open import open_release, open_secure_boot, open_signer, read_enrolment, warn
from osloom.keys.openpgp import certificates
from osloom.keys.places import ROLES, Place, find_place
from osloom.keys.signer import FileSigner, read_key
from osloom.model.efi_variable import VARIABLES
from osloom.model.providers import Keys

if TYPE_CHECKING:
    from cryptography.x509 import Certificate


class KeyReport(msgspec.Struct, frozen=True, kw_only=True):
    """One key and its public part."""

    name: str
    """`release`, `verity`, `secure-boot`, or a variable of secure boot above it."""
    public: str
    """Path of the public part."""
    private: str
    """Where the private key is: a path, a PKCS#11 URI, a program; empty where it is elsewhere."""
    algorithm: str | None = None
    fingerprint: str | None = None
    """SHA-256 of an X.509 certificate, or the one of OpenPGP; in hex."""
    expires: str | None = None
    """The day, in UTC; None where there is no end."""
    problem: str | None = None
    """Why it cannot be used."""
    warnings: tuple[str, ...] = ()


def report_keys(keys: Keys, base: Path, *, now: int) -> tuple[KeyReport, ...]:
    """Every key that `[keys]` names, and those of secure boot that lie beside; see `open_keys`."""
    found: list[KeyReport] = []
    for role in ROLES:
        place = find_place(keys, role, base)
        if place is not None:
            found.append(_report(place, now))
        if place is not None and role == "secure-boot":
            found += _beside(place, now)
    return tuple(found)


def _report(place: Place, now: int) -> KeyReport:
    started = KeyReport(
        name=place.role,
        public=str(place.public),
        private=str(place.key or place.uri or place.command[0]),
    )
    try:
        started = _described(started, place.public)
        _open(place, now)
        return msgspec.structs.replace(started, warnings=tuple(warn(place, now=now)))
    except Error as error:
        return msgspec.structs.replace(started, problem=error.message)


def _open(place: Place, now: int) -> None:
    match place.role:
        case "release":
            open_release(place, now=now)
        case "verity":
            open_signer(place, now=now)
        case "secure-boot":
            open_secure_boot(place, now=now)
            read_enrolment(place.public)


def _beside(place: Place, now: int) -> list[KeyReport]:
    """The keys above `db`: they are needed to change the firmware's variables, not to sign."""
    found = []
    for name in VARIABLES[:-1]:
        public = place.public.with_name(f"{name}.crt")
        key = public.with_suffix(".key")
        if not public.exists():
            continue
        one = KeyReport(name=name, public=str(public), private=str(key) if key.exists() else "")
        try:
            one = _described(one, public)
            check_dates(load_certificate(public), public, now=now)
            if key.exists():
                FileSigner(key, load_certificate(public))
        except Error as error:
            one = msgspec.structs.replace(one, problem=error.message)
        found.append(one)
    return found


def _described(report: KeyReport, public: Path) -> KeyReport:
    if report.name == "release":
        return _described_openpgp(report, public)
    certificate = load_certificate(public)
    end = certificate.not_valid_after_utc
    return msgspec.structs.replace(
        report,
        algorithm=_algorithm(certificate),
        fingerprint=_fingerprint(certificate),
        expires=f"{end:%Y-%m-%d}",
    )


def _described_openpgp(report: KeyReport, public: Path) -> KeyReport:
    first: Any = certificates(read_key(public), name=str(public))[0]
    return msgspec.structs.replace(
        report,
        algorithm="OpenPGP",
        fingerprint=first.fingerprint,
        expires=first.expiration.astimezone(dt.UTC).strftime("%Y-%m-%d")
        if first.expiration
        else None,
    )


def _algorithm(certificate: "Certificate") -> str:
    from cryptography.hazmat.primitives.asymmetric import rsa

    key: Any = certificate.public_key()
    return f"RSA {key.key_size}" if isinstance(key, rsa.RSAPublicKey) else f"EC {key.curve.name}"


def _fingerprint(certificate: "Certificate") -> str:
    from cryptography.hazmat.primitives import hashes

    return certificate.fingerprint(hashes.SHA256()).hex()
