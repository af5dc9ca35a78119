"""Signed messages: PKCS#7 SignedData (RFC 2315), which the first version of CMS is (RFC 5652).

Everything is made but the raw signature, so that the private key may be anywhere. The digest is
SHA-256. No time goes in: the same message gets the same bytes.
"""

import hashlib
from collections.abc import Callable

import msgspec

from osloom.base.errors import Error
from osloom.model.der import (
    NULL,
    element,
    explicit,
    identifier,
    integer,
    octets,
    read_elements,
    sequence,
    set_of,
)

DATA = "1.2.840.113549.1.7.1"
SIGNED_DATA = "1.2.840.113549.1.7.2"
_SHA256 = identifier("2.16.840.1.101.3.4.2.1")
SHA256 = sequence(_SHA256, NULL)
_CONTENT_TYPE = identifier("1.2.840.113549.1.9.3")
_MESSAGE_DIGEST = identifier("1.2.840.113549.1.9.4")
_SIGNATURES = {
    "rsa": sequence(identifier("1.2.840.113549.1.1.1"), NULL),
    "ecdsa": sequence(identifier("1.2.840.10045.4.3.2")),
}

_CERTIFICATES = _ATTRIBUTES = 0xA0
"""The tag `[0]`, of what is optional in the message and in each of its signatures."""
_NO_MESSAGE = "it is no PKCS#7 message with signatures"

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
        attribute(hashlib.sha256(content).digest()),
    )
    info = _signer_info(signer, sign(set_of(*attributes)), attributes)
    inside = sequence(identifier(kind), explicit(0, sequence(content)))
    return _signed_data(inside, info, certificate=signer.der)


def wrapped(signed_data: bytes) -> bytes:
    """The ContentInfo around SignedData: what files and EFI programs hold."""
    return sequence(identifier(SIGNED_DATA), explicit(0, signed_data))


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What is in SignedData that somebody made; nothing of it is verified."""

    certificates: tuple[bytes, ...]
    """In DER."""
    signatures: tuple["Signature", ...]


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """A SignerInfo."""

    is_sha256: bool
    """Whether that is the digest that was signed."""
    attributes: bytes | None
    """What is signed instead of the content, as a SET in DER."""
    raw: bytes


def parse(data: bytes) -> Message:
    """The message of a ContentInfo with SignedData, in DER. Raises Error for what is none."""
    try:
        ((_, info, _),) = read_elements(data)
        (_, _, kind), (_, explicitly, _) = read_elements(info)
        ((_, signed, _),) = read_elements(explicitly)
        _version, _digests, _content, *more, (_, signers, _) = read_elements(signed)
        if kind == identifier(SIGNED_DATA) and signers:
            return Message(
                certificates=tuple(
                    whole
                    for tag, content, _ in more
                    if tag == _CERTIFICATES
                    for _, _, whole in read_elements(content)
                ),
                signatures=tuple(
                    _parse_signature(content) for _, content, _ in read_elements(signers)
                ),
            )
    except ValueError as error:
        raise Error(_NO_MESSAGE) from error
    raise Error(_NO_MESSAGE)


def _parse_signature(content: bytes) -> Signature:
    _version, _signer, (_, algorithm, _), *more = read_elements(content)
    (_, _, digest), *_parameters = read_elements(algorithm)
    attributes = None
    if more and more[0][0] == _ATTRIBUTES:
        # Signed as a SET, see `_signer_info`.
        attributes = element(0x31, more.pop(0)[1])
    _algorithm, (_, raw, _), *_unsigned = more
    return Signature(is_sha256=digest == _SHA256, attributes=attributes, raw=raw)


def attribute(message_digest: bytes) -> bytes:
    """The signed attribute that holds the digest of the content, in DER."""
    return sequence(_MESSAGE_DIGEST, set_of(octets(message_digest)))


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
