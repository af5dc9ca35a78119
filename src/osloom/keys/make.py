"""New keys: of releases, of dm-verity, of secure boot. Nothing that is there is overwritten."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from osloom.base.digest import derive_uuid
from osloom.base.errors import Error, UsageError
from osloom.base.files import remove_tree
from osloom.base.secrets import note_secret
from osloom.keys.certificate import as_signer
from osloom.keys.certify import certify, certify_token
from osloom.keys.openpgp import rsa_key
from osloom.keys.places import Role
from osloom.keys.signer import rsa_sha256
from osloom.keys.token import Token
from osloom.model import openpgp
from osloom.model.efi_variable import VARIABLES, Variable, signature_list, update

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.x509 import Certificate

_VERITY_BITS = 4096
_FIRMWARE_BITS = 2048
"""What every firmware with secure boot knows; UEFI Specification, section 32.4.1."""
_IGNORED = "# Private keys stay out of git; certificates and .auth files may be in it.\n*.key\n"


def make_keys(
    directory: Path, *, name: str, now: int, tokens: Mapping[Role, Token] | None = None
) -> tuple[Path, ...]:
    """Write all keys into `directory`, which has to be empty or missing; gives the files.

    `name` is what certificates call their owner, `now` the time they begin at, in seconds since
    1970. Of a key in `tokens`, only the public part is written. Either all files are there in the
    end or none is. Raises Error.
    """
    _check_name(name)
    place = directory.resolve()
    try:
        if place.exists() and (not place.is_dir() or any(place.iterdir())):
            raise Error(
                f"cannot make keys in {directory}: something is there, and nothing is overwritten",
                hint="give another directory with `--directory`",
            )
        files = _files(name, now, tokens or {})
        place.parent.mkdir(parents=True, exist_ok=True)
        staged = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
        try:
            for path, content in files.items():
                _write(staged / path, content)
            # Takes the place of an empty directory, and of nothing else, rename(2).
            staged.rename(place)
        except BaseException:
            remove_tree(staged)
            raise
    except OSError as error:
        raise Error(f"cannot make keys in {directory}: {error.strerror}") from error
    return tuple(directory / path for path in files)


def _check_name(name: str) -> None:
    """Raises UsageError for bytes of the command line that are no text."""
    try:
        name.encode()
    except UnicodeEncodeError as error:
        shown = name.encode(errors="backslashreplace").decode()
        raise UsageError(
            f"cannot make keys for `{shown}`: the name is not UTF-8",
            hint="give another with `--name`",
        ) from error


def _files(name: str, now: int, tokens: Mapping[Role, Token]) -> Mapping[str, bytes]:
    verity = _pair(f"{name} verity", _VERITY_BITS, now, tokens.get("verity"))
    return {
        **_release(f"{name} releases", now, tokens.get("release")),
        **_named("verity", verity),
        **{
            f"secure-boot/{path}": content
            for path, content in _secure_boot(name, now, tokens.get("secure-boot")).items()
        },
        ".gitignore": _IGNORED.encode(),
    }


def _release(name: str, now: int, token: Token | None) -> Mapping[str, bytes]:
    """It has no end: a device that was off for years has to trust the next update all the same."""
    import pysequoia

    if token is not None:
        numbers = rsa_key(token).public_numbers()
        body = openpgp.public_key(numbers.n, numbers.e, now)
        made = openpgp.certificate(body, name, token.sign, moment=now)
        return {"release.pub": str(pysequoia.Cert.from_bytes(made)).encode()}
    key = pysequoia.Tsk.generate(
        name,
        profile=pysequoia.Profile.RFC4880,  # what gpg knows
        cipher_suite=pysequoia.CipherSuite.Cv25519,
    )
    public = str(key.extract_certificate()).encode()
    return {"release.key": str(key).encode(), "release.pub": public}


class _Pair(msgspec.Struct, frozen=True):
    key: "RSAPrivateKey | None"
    """None where it is in a token."""
    certificate: "Certificate"


def _pair(name: str, bits: int, now: int, token: Token | None = None) -> _Pair:
    from cryptography.hazmat.primitives.asymmetric import rsa

    if token is not None:
        return _Pair(None, certify_token(name, token, now=now))
    note_secret()
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    return _Pair(key, certify(name, key.public_key(), key, now=now))


def _secure_boot(name: str, now: int, token: Token | None) -> Mapping[str, bytes]:
    if token is not None:
        rsa_key(token)
    pairs = {
        one: _pair(f"{name} {one}", _FIRMWARE_BITS, now, token if one == "db" else None)
        for one in VARIABLES
    }
    owner = derive_uuid("secure boot", as_signer(pairs["PK"].certificate).der.hex())
    above: Mapping[Variable, Variable] = {"PK": "PK", "KEK": "PK", "db": "KEK"}
    files: dict[str, bytes] = {}
    for one, pair in pairs.items():
        content = signature_list(as_signer(pair.certificate).der, owner)
        files |= _named(one, pair)
        files[f"{one}.auth"] = _signed_update(one, content, pairs[above[one]], now=now)
    return files


def _signed_update(variable: Variable, content: bytes, above: _Pair, *, now: int) -> bytes:
    key = above.key
    assert key is not None
    signer = as_signer(above.certificate)
    return update(variable, content, signer, lambda data: key.sign(data, *rsa_sha256()), moment=now)


def _named(name: str, pair: _Pair) -> Mapping[str, bytes]:
    from cryptography.hazmat.primitives import serialization

    pem = serialization.Encoding.PEM
    public = {f"{name}.crt": pair.certificate.public_bytes(pem)}
    if pair.key is None:
        return public
    plain = serialization.NoEncryption()
    private = pair.key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    return {f"{name}.key": private, **public}


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    mode = 0o600 if path.suffix == ".key" else 0o644
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
