"""Whether what a disk says of the signature of its root hash holds, as far as the disk alone tells."""

import base64
import hashlib
from typing import Any

from osloom.base.errors import Error
from osloom.keys.signer import check_signature
from osloom.model import cms
from osloom.model.verity_signature import VeritySignature


def is_verified(found: VeritySignature) -> bool:
    """Whether the certificate that `found` names has signed its root hash.

    Not where the certificate does not come with it, as in all that osloom makes, or where the
    digest is not SHA-256: then only who has the certificate can tell. Whose it is nobody knows here.
    Raises Error where something of it is wrong.
    """
    try:
        return _is_verified(found)
    except (Error, ValueError) as error:
        said = error.message if isinstance(error, Error) else "it cannot be read"
        raise Error(f"its signature is wrong: {said}") from error


def _is_verified(found: VeritySignature) -> bool:
    from cryptography import x509

    message = cms.parse(base64.b64decode(found.signature, validate=True))
    own = {hashlib.sha256(one).hexdigest(): one for one in message.certificates}
    if not own or found.certificate_fingerprint is None:
        return False
    if found.certificate_fingerprint not in own:
        raise Error("it comes with another certificate than the one that it names")
    certificate = x509.load_der_x509_certificate(own[found.certificate_fingerprint])
    return all(_check(one, found.root_hash.encode(), certificate) for one in message.signatures)


def _check(one: cms.Signature, content: bytes, certificate: Any) -> bool:
    """Whether it is signed; no where this cannot be told. Raises Error."""
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    is_known = isinstance(certificate.public_key(), rsa.RSAPublicKey | ec.EllipticCurvePublicKey)
    if not is_known or not one.is_sha256:
        return False
    if one.attributes is not None:
        if cms.attribute(hashlib.sha256(content).digest()) not in one.attributes:
            raise Error("it is one of something else")
        content = one.attributes
    try:
        check_signature(certificate, one.raw, content, who="the disk")
    except Error as error:
        raise Error("the certificate that it names has not signed the root hash") from error
    return True
