"""X.509 certificates: read from a file, checked against the time, handed on as data."""

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

from osloom.base.errors import Error
from osloom.keys.signer import read_key
from osloom.model import cms

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_SOON = dt.timedelta(days=90)


def load_certificate(path: Path) -> "Certificate":
    """The certificate in a file, PEM or DER. Raises Error."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    data = read_key(path)
    try:
        pem = b"-----BEGIN" in data
        found = (
            x509.load_pem_x509_certificate(data) if pem else x509.load_der_x509_certificate(data)
        )
    except ValueError as error:
        raise Error(
            f"cannot read {path}: it is not an X.509 certificate",
            hint="it begins with `-----BEGIN CERTIFICATE-----`",
        ) from error
    if not isinstance(found.public_key(), rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        raise Error(f"cannot use {path}: its key is neither RSA nor of an elliptic curve")
    return found


def check_dates(certificate: "Certificate", path: Path, *, now: int) -> str | None:
    """What to tell of its end when it is near. Raises Error when the certificate is not valid."""
    moment = dt.datetime.fromtimestamp(now, dt.UTC)
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if moment < begin:
        raise Error(
            f"cannot use {path}: it is valid from {begin:%Y-%m-%d %H:%M} UTC on",
            hint=f"this machine's clock says {moment:%Y-%m-%d %H:%M} UTC",
        )
    if moment > end:
        raise Error(
            f"cannot use {path}: it was valid until {end:%Y-%m-%d}",
            hint="make new keys, and bring the new certificate onto the devices first",
        )
    return f"{path} is valid until {end:%Y-%m-%d} only" if end - moment < _SOON else None


def as_signer(certificate: "Certificate") -> cms.Certificate:
    """What signed messages say of it."""
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding

    is_rsa = isinstance(certificate.public_key(), rsa.RSAPublicKey)
    return cms.Certificate(
        der=certificate.public_bytes(Encoding.DER),
        issuer=certificate.issuer.public_bytes(),
        serial=certificate.serial_number,
        algorithm="rsa" if is_rsa else "ecdsa",
    )
