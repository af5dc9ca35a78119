"""What can sign: a key in a file, in a PKCS#11 token, or behind another program."""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from cryptography.x509 import Certificate


class Signer(Protocol):
    """A private key that has a certificate; it never gives the key away."""

    @property
    def certificate(self) -> "Certificate": ...

    def sign(self, data: bytes) -> bytes:
        """The raw signature of the SHA-256 digest of `data`: RSASSA-PKCS1-v1_5, or ECDSA in DER.

        Raises Error when it cannot be made, or is not one of the certificate's key.
        """


class ReleaseSigner(Protocol):
    """A private OpenPGP key."""

    @property
    def public(self) -> bytes:
        """The OpenPGP certificate that devices verify with, armoured or binary."""

    def sign(self, data: bytes) -> bytes:
        """A detached OpenPGP signature of `data`, binary."""
