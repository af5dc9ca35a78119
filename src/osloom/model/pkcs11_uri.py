"""The PKCS #11 URI Scheme, RFC 7512: which token, which key, and how to get to them."""

from urllib.parse import unquote, unquote_to_bytes

import msgspec

from osloom.base.errors import DefinitionError, nearest

SCHEME = "pkcs11:"
_PATH = ("token", "manufacturer", "serial", "model", "object", "type", "id")
_QUERY = ("module-path", "pin-source")


class TokenKey(msgspec.Struct, frozen=True, kw_only=True):
    """What a URI says; what it does not say matches everything."""

    token: str | None = None
    manufacturer: str | None = None
    serial: str | None = None
    model: str | None = None
    object: str | None = None
    """The label of the key."""
    id: bytes | None = None
    module: str | None = None
    """Path of the module that speaks with the token."""
    pin_source: str | None = None
    """Path of the file with the PIN."""


def parse_uri(uri: str) -> TokenKey:
    """Read `pkcs11:…`. Raises DefinitionError with the nearest attribute that there is."""
    path, _, query = uri.removeprefix(SCHEME).partition("?")
    found: dict[str, str | bytes] = {}
    for known, text, mark in ((_PATH, path, ";"), (_QUERY, query, "&")):
        for part in filter(None, text.split(mark)):
            name, equals, value = part.partition("=")
            if name == "pin-value":
                raise DefinitionError(
                    "cannot take a PIN from a PKCS#11 URI: the definition is no place for secrets",
                    hint="use `pin-source=PATH`, or the variable OSLOOM_PKCS11_PIN",
                )
            if name not in known or not equals or name in found:
                close = nearest(name, known)
                raise DefinitionError(
                    f"cannot read the PKCS#11 URI `{uri}`: `{part}` is not one of its attributes",
                    hint=f"did you mean `{close[0]}`?"
                    if close and close[0] != name
                    else f"there are, once each: {', '.join((*_PATH, *_QUERY))}",
                )
            found[name] = unquote_to_bytes(value) if name == "id" else unquote(value)
    if found.pop("type", "private") != "private":
        raise DefinitionError(f"cannot sign with `{uri}`: its type is not `private`")
    fields = {**found, "module": found.get("module-path"), "pin_source": found.get("pin-source")}
    return msgspec.convert(fields, TokenKey)
