"""Who says that a store path has this content: ed25519 over its fingerprint.

https://nix.dev/manual/nix/stable/store/store-path and `nix key generate-secret`: a public key is
`NAME:` and 32 bytes in base 64, a secret one `NAME:` and 64, the seed and the public key; a
signature is `NAME:` and 64 bytes, where NAME says which key to look for.
"""

import base64
from collections.abc import Sequence

import msgspec

from osloom.base.errors import FetchError
from osloom.model.closure import STORE, StorePath
from osloom.model.nix32 import format_hash
from osloom.model.store_path import check_content_address, parse_content_address

_KEY_BYTES = 32
_BROKEN = ("md5", "sha1")


class SecretKey(msgspec.Struct, frozen=True):
    """What `nix key generate-secret` writes."""

    name: str
    seed: bytes

    def __repr__(self) -> str:
        return f"SecretKey({self.name!r})"


def fingerprint(path: StorePath) -> str:
    """What is signed: `1;PATH;NAR HASH;NAR SIZE;REFERENCES`, with whole paths, sorted."""
    references = ",".join(f"{STORE}/{name}" for name in sorted(path.references))
    return f"1;{path.path};{format_hash(path.nar_hash)};{path.nar_size};{references}"


def check_trusted(path: StorePath, keys: Sequence[str]) -> str | None:
    """The name of the key of `keys` that signed `path`; None for one that needs no signature.

    One good signature is enough. A path with a content address needs none, unless that is of MD5 or
    SHA-1, which somebody can make two contents for; but it has to have the name and the NAR hash
    that the address gives (`model.store_path.check_content_address`), and its content is to be
    looked at when it is there (`sources.nix.content.check_content`). Raises FetchError.
    """
    if path.content_address is not None:
        check_content_address(path)
        if parse_content_address(path.content_address)[1] not in _BROKEN:
            return None
    text = fingerprint(path).encode()
    known = [_parse(key, _KEY_BYTES, "the public key") for key in keys]
    wrong: list[str] = []
    for one in path.signatures:
        name, _, encoded = one.partition(":")
        candidates = [key for owner, key in known if owner == name]
        signature = _decode(encoded)
        if any(_is_good(key, signature, text) for key in candidates):
            return name
        wrong += [name] if candidates else []
    raise _untrusted(path, [name for name, _ in known], wrong)


def _untrusted(path: StorePath, known: Sequence[str], wrong: Sequence[str]) -> FetchError:
    trusted = ", ".join(f"`{name}`" for name in known) or "none"
    if wrong:
        return FetchError(
            f"cannot trust {path.path}: its signature by `{wrong[0]}` is not good",
            hint="its hash, size or references were changed after it was signed, or another key "
            "has this name: do not use it",
        )
    if not path.signatures:
        return FetchError(
            f"cannot trust {path.path}: it is not signed",
            hint="sign it with `nix store sign`, or take it from a cache that signs; trusted keys: "
            f"{trusted}",
        )
    signers = ", ".join(f"`{one.partition(':')[0][:120]}`" for one in path.signatures[:5])
    return FetchError(
        f"cannot trust {path.path}: it is signed by {signers}, and trusted keys are {trusted}",
        hint="if you trust who has that key, add the public key to `keys` of `[[nix.cache]]`",
    )


def _is_good(key: bytes, signature: bytes, text: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, text)
    except InvalidSignature:
        return False
    return True


def sign(path: StorePath, secret: SecretKey) -> str:
    """A signature of `path`, `NAME:BASE64`."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.from_private_bytes(secret.seed)
    signature = key.sign(fingerprint(path).encode())
    return f"{secret.name}:{base64.b64encode(signature).decode()}"


def parse_secret_key(text: str) -> SecretKey:
    """The key in the text of a file. Raises FetchError, which says nothing of what is in it."""
    name, data = _parse(text.strip(), 2 * _KEY_BYTES, "the secret key", secret=True)
    secret = SecretKey(name, data[:_KEY_BYTES])
    if _public_bytes(secret) != data[_KEY_BYTES:]:
        raise FetchError("cannot use the secret key: its two halves do not belong together")
    return secret


def public_key(secret: SecretKey) -> str:
    """The public key of `secret`, `NAME:BASE64`."""
    return f"{secret.name}:{base64.b64encode(_public_bytes(secret)).decode()}"


def _public_bytes(secret: SecretKey) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(secret.seed).public_key().public_bytes_raw()


def _parse(text: str, size: int, what: str, *, secret: bool = False) -> tuple[str, bytes]:
    name, _, encoded = text.partition(":")
    data = _decode(encoded)
    if not name or any(letter.isspace() for letter in name) or len(data) != size:
        said = what if secret else f"{what} `{text[:120]}`"
        raise FetchError(
            f"cannot use {said}: it is not a name, `:` and {size} bytes in base 64",
            hint="`nix key generate-secret` and `nix key convert-secret-to-public` write keys",
        )
    return name, data


def _decode(encoded: str) -> bytes:
    """Nothing where it is no base 64."""
    try:
        return base64.b64decode(encoded, validate=True)
    except ValueError:
        return b""
