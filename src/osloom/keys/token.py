"""Private keys in PKCS#11 tokens, OASIS PKCS #11 version 2.40: they never leave them.

The token's own module is loaded into this process, as every program with PKCS#11 does it.
"""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from osloom.base.errors import Error
from osloom.keys.signer import check_signature, read_secret
from osloom.model.pkcs11_uri import TokenKey, parse_uri

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.x509 import Certificate

    PublicKey = RSAPublicKey | EllipticCurvePublicKey

PIN = "OSLOOM_PKCS11_PIN"
MODULE = "OSLOOM_PKCS11_MODULE"
_ANY_TOKEN = "p11-kit-proxy.so"
"""The module of p11-kit, which has the tokens of all modules that this host knows."""


class TokenSigner:
    """A private key that has a certificate."""

    def __init__(self, uri: str, base: Path, certificate: "Certificate") -> None:
        self.certificate = certificate
        self._key = Token(uri, base)

    def sign(self, data: bytes) -> bytes:
        raw = self._key.sign(data)
        check_signature(self.certificate, raw, data, who=f"`{self._key.uri}`")
        return raw


class Token:
    """One private key. What it is asked for raises Error when token, key or PIN are not right."""

    def __init__(self, uri: str, base: Path) -> None:
        """`base` is where a relative `pin-source` begins. Raises DefinitionError for a bad URI."""
        self.uri = uri
        self._base = base
        self._wanted = parse_uri(uri)

    def sign(self, data: bytes) -> bytes:
        """The raw signature of the SHA-256 digest of `data`; see `osloom.keys.signer`."""
        with self._session() as (pkcs11, session):
            key = self._private(session)
            if key.key_type == pkcs11.KeyType.EC:
                from pkcs11.util.ec import encode_ecdsa_signature

                # Tokens leave the digest to the caller, and give two bare numbers.
                digest = hashlib.sha256(data).digest()
                raw = encode_ecdsa_signature(key.sign(digest, mechanism=pkcs11.Mechanism.ECDSA))
            else:
                raw = key.sign(data, mechanism=pkcs11.Mechanism.SHA256_RSA_PKCS)
            return bytes(raw)

    def public_key(self) -> "PublicKey":
        """Of the pair: the token holds it under the same id."""
        from cryptography.hazmat.primitives.serialization import load_der_public_key
        from pkcs11.util import ec, rsa

        with self._session() as (pkcs11, session):
            private = self._private(session)
            wanted = {
                pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PUBLIC_KEY,
                pkcs11.Attribute.ID: private[pkcs11.Attribute.ID],
            }
            public = self._one(session, wanted, "public")
            is_elliptic = private.key_type == pkcs11.KeyType.EC
            encode: Any = ec.encode_ec_public_key if is_elliptic else rsa.encode_rsa_public_key
            return cast("PublicKey", load_der_public_key(encode(public)))

    @contextlib.contextmanager
    def _session(self) -> Iterator[tuple[Any, Any]]:
        pkcs11 = _library()
        try:
            with self._token(pkcs11).open(user_pin=self._pin()) as session:
                yield pkcs11, session
        except pkcs11.PKCS11Error as error:
            said = str(error) or type(error).__name__
            raise Error(
                f"cannot sign with `{self.uri}`: {said}",
                hint=f"is the token there, and its PIN in {PIN}?",
            ) from error

    def _token(self, pkcs11: Any) -> Any:
        module = self._wanted.module or os.environ.get(MODULE) or _ANY_TOKEN
        try:
            loaded = pkcs11.lib(module)
        except pkcs11.PKCS11Error as error:
            raise Error(
                f"cannot load the PKCS#11 module {module}: {error}",
                hint=f"name the token's module in {MODULE}, or in the URI as `?module-path=`",
            ) from error
        there = [slot.get_token() for slot in loaded.get_slots(token_present=True)]
        found = [one for one in there if _is_wanted(one, self._wanted)]
        if len(found) != 1:
            labels = ", ".join(f"`{one.label}`" for one in there) or "none"
            raise Error(
                f"cannot sign with `{self.uri}`: {len(found) or 'no'} tokens are so called",
                hint=f"the tokens are: {labels}",
            )
        return found[0]

    def _private(self, session: Any) -> Any:
        from pkcs11 import Attribute, ObjectClass

        wanted: dict[Any, Any] = {Attribute.CLASS: ObjectClass.PRIVATE_KEY}
        if self._wanted.object is not None:
            wanted[Attribute.LABEL] = self._wanted.object
        if self._wanted.id is not None:
            wanted[Attribute.ID] = self._wanted.id
        return self._one(session, wanted, "private")

    def _one(self, session: Any, wanted: dict[Any, Any], called: str) -> Any:
        found = list(session.get_objects(wanted))
        if len(found) != 1:
            raise Error(
                f"cannot sign with `{self.uri}`: {len(found) or 'no'} {called} keys are so called",
                hint="name one by `object=` or `id=`; "
                f"most tokens show it to who has the PIN in {PIN}",
            )
        return found[0]

    def _pin(self) -> str | None:
        source = self._wanted.pin_source
        if source is None:
            return os.environ.get(PIN)
        path = self._base / source.removeprefix("file://").removeprefix("file:")
        return read_secret(path).decode().strip()


def _is_wanted(token: Any, wanted: TokenKey) -> bool:
    pairs = (
        (wanted.token, token.label),
        (wanted.manufacturer, token.manufacturer_id),
        (wanted.serial, token.serial),
        (wanted.model, token.model),
    )
    return all(want is None or want == _text(have) for want, have in pairs)


def _text(value: str | bytes) -> str:
    return (value.decode(errors="replace") if isinstance(value, bytes) else value).strip()


def _library() -> Any:
    try:
        import pkcs11
    except ImportError as error:
        raise Error(
            "cannot sign with a PKCS#11 token: a library is missing",
            hint="install it: pip install 'osloom[pkcs11]'",
        ) from error
    return pkcs11
