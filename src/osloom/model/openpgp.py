"""OpenPGP packets around an RSA signature that is made elsewhere: RFC 9580, version 4.

Only what a token needs: libraries that know more want the private key in their hands.
"""

import hashlib
import struct
from collections.abc import Callable

_VERSION = 4
_RSA = 1
_SHA256 = 8
_BINARY = 0x00
_POSITIVE_CERTIFICATION = 0x13
_CERTIFY_AND_SIGN = 0x03

Sign = Callable[[bytes], bytes]
"""Gives the RSASSA-PKCS1-v1_5 signature of the SHA-256 digest of what it is given."""


def public_key(modulus: int, exponent: int, created: int) -> bytes:
    """The body of a public-key packet; `created` in seconds since 1970. RFC 9580, 5.5.2."""
    return struct.pack(">BIB", _VERSION, created, _RSA) + _number(modulus) + _number(exponent)


def find_rsa_modulus(body: bytes) -> int | None:
    """The modulus of a public-key packet; None where it is of another kind."""
    if len(body) < 8 or body[0] != _VERSION or body[5] != _RSA:
        return None
    (bits,) = struct.unpack_from(">H", body, 6)
    return int.from_bytes(body[8 : 8 + (bits + 7) // 8], "big")


def certificate(body: bytes, user: str, sign: Sign, *, moment: int) -> bytes:
    """A public key with a name that it has signed itself, to certify and to sign."""
    name = user.encode()
    named = _hashed(body) + b"\xb4" + struct.pack(">I", len(name)) + name
    flags = _subpacket(27, bytes([_CERTIFY_AND_SIGN]))
    signed = _signature(_POSITIVE_CERTIFICATION, body, named, sign, moment, flags)
    return _packet(6, body) + _packet(13, name) + signed


def sign_data(body: bytes, data: bytes, sign: Sign, *, moment: int) -> bytes:
    """A detached signature of `data` by the key `body`."""
    return _signature(_BINARY, body, data, sign, moment)


def _signature(
    kind: int, body: bytes, data: bytes, sign: Sign, moment: int, more: bytes = b""
) -> bytes:
    """RFC 9580, 5.2.3 and 5.2.4: the data, the hashed part and its length are signed."""
    fingerprint = hashlib.sha1(_hashed(body), usedforsecurity=False).digest()
    subpackets = _subpacket(2, struct.pack(">I", moment)) + more
    subpackets += _subpacket(33, bytes([_VERSION]) + fingerprint)
    head = struct.pack(">BBBBH", _VERSION, kind, _RSA, _SHA256, len(subpackets)) + subpackets
    signed = data + head + struct.pack(">BBI", _VERSION, 0xFF, len(head))
    issuer = _subpacket(16, fingerprint[-8:])
    tail = struct.pack(">H", len(issuer)) + issuer + hashlib.sha256(signed).digest()[:2]
    return _packet(2, head + tail + _number(int.from_bytes(sign(signed), "big")))


def _hashed(body: bytes) -> bytes:
    return b"\x99" + struct.pack(">H", len(body)) + body


def _packet(tag: int, body: bytes) -> bytes:
    return struct.pack(">BBI", 0xC0 | tag, 0xFF, len(body)) + body


def _subpacket(kind: int, body: bytes) -> bytes:
    return struct.pack(">BB", len(body) + 1, kind) + body


def _number(number: int) -> bytes:
    bits = number.bit_length()
    return struct.pack(">H", bits) + number.to_bytes((bits + 7) // 8, "big")
