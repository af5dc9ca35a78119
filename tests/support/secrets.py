"""Whether a private key got somewhere it must not be."""

import base64
from pathlib import Path

import pysequoia.packet
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa


def secrets_of(directory: Path) -> tuple[bytes, ...]:
    """Bytes that nobody else may have, of every `*.key`: the numbers themselves, and the text."""
    return tuple(
        secret
        for path in sorted(directory.rglob("*.key"))
        for secret in _secrets(path.read_bytes())
    )


def _secrets(data: bytes) -> tuple[bytes, ...]:
    lines = [line for line in data.splitlines() if len(line) == 64]
    # Base64 may have the three letters anywhere.
    if data.startswith(b"-----BEGIN PGP"):
        tags = (pysequoia.packet.Tag.SecretKey, pysequoia.packet.Tag.SecretSubkey)
        pile = pysequoia.packet.PacketPile.from_bytes(data)
        # The last 32 bytes before the two of the checksum are the key, RFC 9580 section 5.5.3.
        return (*lines[1:], *(bytes(one.body)[-34:-2] for one in pile if one.tag in tags))
    key = serialization.load_pem_private_key(data, None)
    assert isinstance(key, rsa.RSAPrivateKey)
    numbers = key.private_numbers()
    return (
        *lines[1:],
        *(one.to_bytes((one.bit_length() + 7) // 8, "big") for one in (numbers.p, numbers.q)),
        base64.b64encode(data)[100:160],
    )


def where_secrets_are(secrets: tuple[bytes, ...], *places: Path) -> list[Path]:
    """The files at or below `places` that hold one."""
    files = [path for place in places for path in (place, *place.rglob("*")) if path.is_file()]
    return sorted(path for path in files if any(secret in path.read_bytes() for secret in secrets))
