"""X.509 certificates that keys sign themselves, RFC 5280: keys at hand, and keys in tokens."""

import datetime as dt
from typing import TYPE_CHECKING, Any

from osloom.keys.signer import check_signature
from osloom.keys.token import Token
from osloom.model.der import NULL, element, identifier, sequence

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_YEARS = 20
"""As long as a device may live: firmware never looks at the date, but people's tools do."""


def certify(name: str, public: Any, private: Any, *, now: int) -> "Certificate":
    """A certificate for the key `public`, signed by `private`; it begins at `now`."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    called = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name[:64])])
    begin = dt.datetime.fromtimestamp(now, dt.UTC)
    end = begin.replace(year=begin.year + _YEARS, month=1, day=1)
    serial = x509.random_serial_number()
    builder = x509.CertificateBuilder(called, called, public, serial, begin, end)
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    extensions: tuple[tuple[Any, bool], ...] = (
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (usage, True),
        (x509.SubjectKeyIdentifier.from_public_key(public), False),
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(private, hashes.SHA256())


def certify_token(name: str, token: Token, *, now: int) -> "Certificate":
    """The same, of a key in a token, by itself. Raises Error.

    Only a key at hand can sign for the library: one that is thrown away does it, and then the
    token's signature takes the place of that one.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    public = token.public_key()
    is_rsa = isinstance(public, rsa.RSAPublicKey)
    other = (
        rsa.generate_private_key(65537, 2048) if is_rsa else ec.generate_private_key(ec.SECP256R1())
    )
    signed = certify(name, public, other, now=now).tbs_certificate_bytes
    algorithm = (
        sequence(identifier("1.2.840.113549.1.1.11"), NULL)
        if is_rsa
        else sequence(identifier("1.2.840.10045.4.3.2"))
    )
    raw = token.sign(signed)
    made = x509.load_der_x509_certificate(sequence(signed, algorithm, element(0x03, b"\0", raw)))
    check_signature(made, raw, signed, who=f"`{token.uri}`")
    return made
