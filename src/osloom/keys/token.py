"""A private key in a PKCS#11 token: the PKCS #11 URI Scheme, RFC 7512."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.x509 import Certificate


class TokenSigner:
    """A private key that never leaves its token."""

    def __init__(self, uri: str, certificate: "Certificate") -> None:
        self.certificate = certificate
        self._uri = uri

    def sign(self, data: bytes) -> bytes:
        raise NotImplementedError
