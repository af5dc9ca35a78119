"""A private key in a PKCS#11 token, OASIS PKCS #11 version 2.40.

The token's own module is loaded into this process, as every program with PKCS#11 does it.
"""

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osloom.base.errors import Error
from osloom.keys.signer import check_signature, read_key
from osloom.model.pkcs11_uri import TokenKey, parse_uri

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

PIN = "OSLOOM_PKCS11_PIN"
MODULE = "OSLOOM_PKCS11_MODULE"
_ANY_TOKEN = "p11-kit-proxy.so"
"""The module of p11-kit, which has the tokens of all modules that this host knows."""


class TokenSigner:
    """A private key that never leaves its token."""

    def __init__(self, uri: str, base: Path, certificate: "Certificate") -> None:
        """`base` is where a relative `pin-source` begins. Raises DefinitionError for a bad URI."""
        self.certificate = certificate
        self._uri = uri
        self._base = base
        self._wanted = parse_uri(uri)

    def sign(self, data: bytes) -> bytes:
        pkcs11 = _library()
        try:
            with self._token(pkcs11).open(user_pin=self._pin()) as session:
                raw = _sign(pkcs11, self._key(pkcs11, session), data)
        except pkcs11.PKCS11Error as error:
            said = str(error) or type(error).__name__
            raise Error(
                f"cannot sign with `{self._uri}`: {said}",
                hint=f"is the token there, and its PIN in {PIN}?",
            ) from error
        check_signature(self.certificate, raw, data, who=f"`{self._uri}`")
        return raw

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
                f"cannot sign with `{self._uri}`: {len(found) or 'no'} tokens are so called",
                hint=f"the tokens are: {labels}",
            )
        return found[0]

    def _key(self, pkcs11: Any, session: Any) -> Any:
        wanted = {pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PRIVATE_KEY}
        if self._wanted.object is not None:
            wanted[pkcs11.Attribute.LABEL] = self._wanted.object
        if self._wanted.id is not None:
            wanted[pkcs11.Attribute.ID] = self._wanted.id
        found = list(session.get_objects(wanted))
        if len(found) != 1:
            raise Error(
                f"cannot sign with `{self._uri}`: {len(found) or 'no'} private keys are so called",
                hint=f"name one by `object=` or `id=`; most tokens show it to who has the PIN in {PIN}",
            )
        return found[0]

    def _pin(self) -> str | None:
        source = self._wanted.pin_source
        if source is None:
            return os.environ.get(PIN)
        path = self._base / source.removeprefix("file://").removeprefix("file:")
        return read_key(path).decode().strip()


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


def _sign(pkcs11: Any, key: Any, data: bytes) -> bytes:
    if key.key_type == pkcs11.KeyType.EC:
        from pkcs11.util.ec import encode_ecdsa_signature

        # Tokens leave the digest to the caller, and give two bare numbers.
        digest = hashlib.sha256(data).digest()
        return bytes(encode_ecdsa_signature(key.sign(digest, mechanism=pkcs11.Mechanism.ECDSA)))
    return bytes(key.sign(data, mechanism=pkcs11.Mechanism.SHA256_RSA_PKCS))


def _library() -> Any:
    try:
        import pkcs11
    except ImportError as error:
        raise Error(
            "cannot sign with a PKCS#11 token: a library is missing",
            hint="install it: pip install 'osloom[pkcs11]'",
        ) from error
    return pkcs11
