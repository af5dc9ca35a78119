"""Signed messages: PKCS#7 SignedData (RFC 2315), which the first version of CMS is (RFC 5652).

Everything is made but the raw signature, so that the private key may be anywhere. The digest is
SHA-256. No time goes in: the same message gets the same bytes.
"""

import hashlib
from collections.abc import Callable

import msgspec

from osloom.model.der import (
    NULL,
    element,
    explicit,
    identifier,
    integer,
    octets,
    sequence,
    set_of,
)

DATA = "1.2.840.113549.1.7.1"
SIGNED_DATA = "1.2.840.113549.1.7.2"
SHA256 = sequence(identifier("2.16.840.1.101.3.4.2.1"), NULL)
_CONTENT_TYPE = identifier("1.2.840.113549.1.9.3")
_MESSAGE_DIGEST = identifier("1.2.840.113549.1.9.4")
_SIGNATURES = {
    "rsa": sequence(identifier("1.2.840.113549.1.1.1"), NULL),
    "ecdsa": sequence(identifier("1.2.840.10045.4.3.2")),
}

Sign = Callable[[bytes], bytes]
"""Gives the raw signature of the SHA-256 digest of what it is given."""


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """What a message says of the certificate of its signer."""

    der: bytes
    issuer: bytes
    """The name in DER."""
    serial: int
    algorithm: str
    """Of its key: `rsa` or `ecdsa`."""


def detached(data: bytes, signer: Certificate, sign: Sign) -> bytes:
    """SignedData over `data`, which it does not hold; no attributes, with the certificate."""
    info = _signer_info(signer, sign(data))
    return _signed_data(sequence(identifier(DATA)), info, certificate=signer.der)


def bare(data: bytes, signer: Certificate, sign: Sign) -> bytes:
    """As `detached`, without the certificate: who verifies has it."""
    return _signed_data(sequence(identifier(DATA)), _signer_info(signer, sign(data)))


def enveloped(kind: str, content: bytes, signer: Certificate, sign: Sign) -> bytes:
    """SignedData that holds `content`, the inside of a SEQUENCE, of the content type `kind`.

    The digest is of that inside alone, without tag and length, RFC 2315 section 9.3.
    """
    attributes = (
        sequence(_CONTENT_TYPE, set_of(identifier(kind))),
        sequence(_MESSAGE_DIGEST, set_of(octets(hashlib.sha256(content).digest()))),
    )
    info = _signer_info(signer, sign(set_of(*attributes)), attributes)
    inside = sequence(identifier(kind), explicit(0, sequence(content)))
    return _signed_data(inside, info, certificate=signer.der)


def wrapped(signed_data: bytes) -> bytes:
    """The ContentInfo around SignedData: what files and EFI programs hold."""
    return sequence(identifier(SIGNED_DATA), explicit(0, signed_data))


def _signed_data(content_info: bytes, signer_info: bytes, *, certificate: bytes = b"") -> bytes:
    certificates = explicit(0, certificate) if certificate else b""
    return sequence(integer(1), set_of(SHA256), content_info, certificates, set_of(signer_info))


def _signer_info(signer: Certificate, raw: bytes, attributes: tuple[bytes, ...] = ()) -> bytes:
    return sequence(
        integer(1),
        sequence(signer.issuer, integer(signer.serial)),
        SHA256,
        # Signed as a SET, written as [0] IMPLICIT of the same: RFC 2315 section 9.3.
        element(0xA0, *sorted(attributes)) if attributes else b"",
        _SIGNATURES[signer.algorithm],
        octets(raw),
    )
