"""What can sign: a key in a file, in a PKCS#11 token, or behind another program.

A private key is read into memory when its file is opened, and goes nowhere else: what signs gives
signatures, and its `repr` says nothing of the key.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from osloom.base.command import run
from osloom.base.errors import Error
from osloom.base.secrets import note_secret

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

PASSPHRASE = "OSLOOM_KEY_PASSPHRASE"
"""The variable with the passphrase of private keys whose files have one."""


class Signer(Protocol):
    """A private key that has a certificate; it never gives the key away."""

    @property
    def certificate(self) -> "Certificate": ...

    def sign(self, data: bytes) -> bytes:
        """The raw signature of the SHA-256 digest of `data`: RSASSA-PKCS1-v1_5, or ECDSA in DER.

        Raises Error when it cannot be made, or is not one of the certificate's key.
        """


class FileSigner:
    """A private key in PEM (RFC 7468): PKCS#8, PKCS#1 or SEC 1."""

    def __init__(self, path: Path, certificate: "Certificate") -> None:
        """Raises Error when the key cannot be read, or is not the certificate's."""
        self.certificate = certificate
        self._key = _load_key(path)
        if self._key.public_key() != certificate.public_key():
            raise Error(
                f"cannot sign with {path}: its certificate is of another key",
                hint="keep the key and the certificate that were made together",
            )

    def sign(self, data: bytes) -> bytes:
        from cryptography.hazmat.primitives.asymmetric import rsa

        is_rsa = isinstance(self._key, rsa.RSAPrivateKey)
        raw: bytes = self._key.sign(data, *(rsa_sha256() if is_rsa else (_ecdsa(),)))
        check_signature(self.certificate, raw, data, who="the key")
        return raw


class CommandSigner:
    """A program that reads what is to be signed and writes the raw signature."""

    def __init__(self, argv: tuple[str, ...], base: Path, certificate: "Certificate") -> None:
        self.certificate = certificate
        self._argv = argv
        self._base = base

    def sign(self, data: bytes) -> bytes:
        raw = run_signer(self._argv, self._base, data)
        check_signature(self.certificate, raw, data, who=f"`{self._argv[0]}`")
        return raw


def run_signer(argv: tuple[str, ...], base: Path, data: bytes) -> bytes:
    """What `argv` writes when it is given `data`. A program with a `/` in it lies below `base`.

    It has the environment of osloom: that is where it finds how to reach its key.
    """
    program = os.fspath(base / argv[0]) if "/" in argv[0] else argv[0]
    return run([program, *argv[1:]], environment=os.environ, stdin=[data]).stdout


def check_signature(certificate: "Certificate", raw: bytes, data: bytes, *, who: str) -> None:
    """Raises Error when `raw` is not the signature of `data` by the certificate's key."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import rsa

    key: Any = certificate.public_key()
    try:
        key.verify(raw, data, *(rsa_sha256() if isinstance(key, rsa.RSAPublicKey) else (_ecdsa(),)))
    except InvalidSignature as error:
        raise Error(
            f"cannot use the signature of {who}: it is not one of the certificate's key",
            hint="it has to be the raw signature of the SHA-256 digest of its input: "
            "RSASSA-PKCS1-v1_5, or ECDSA in DER",
        ) from error


def passphrase() -> str | None:
    return os.environ.get(PASSPHRASE)


def rsa_sha256() -> Any:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    return padding.PKCS1v15(), hashes.SHA256()


def _ecdsa() -> Any:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.ECDSA(hashes.SHA256())


def _load_key(path: Path) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    data = read_secret(path)
    given = passphrase()
    try:
        # Whether RSA's numbers are primes takes 0.3 s to tell; every signature is verified instead.
        key = load_pem_private_key(
            data,
            given.encode() if given and _is_locked(data) else None,
            unsafe_skip_rsa_key_validation=True,
        )
    except TypeError as error:
        raise locked(path) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Error(
            f"cannot read the private key {path}: it is not one in PEM, or the passphrase is wrong",
            hint="it begins with `-----BEGIN PRIVATE KEY-----`",
        ) from error
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise Error(
            f"cannot sign with {path}: it is not an RSA or elliptic-curve key",
            hint="`osloom keys new` makes one",
        )
    return key


def _is_locked(pem: bytes) -> bool:
    return b"ENCRYPTED" in pem


def locked(path: Path) -> Error:
    return Error(
        f"cannot read the private key {path}: it has a passphrase",
        hint=f"give the passphrase in {PASSPHRASE}",
    )


def read_secret(path: Path) -> bytes:
    """As `read_key`, of a private key or of what opens one."""
    note_secret()
    return read_key(path)


def read_key(path: Path) -> bytes:
    """A file of a key. Raises Error with the mend when it is not there."""
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise Error(
            f"cannot find the key {path}", hint="`osloom keys new` makes keys, and overwrites none"
        ) from error
    except OSError as error:
        raise Error(f"cannot read the key {path}: {error.strerror}") from error
