"""New keys: of releases, of dm-verity, of secure boot. Nothing that is there is overwritten."""

import datetime as dt
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osloom.base.digest import derive_uuid
from osloom.base.errors import Error
from osloom.base.files import remove_tree
from osloom.keys.certificate import as_signer
from osloom.keys.signer import rsa_sha256
from osloom.model.efi_variable import VARIABLES, Variable, signature_list, update

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.x509 import Certificate

_YEARS = 20
"""As long as a device may live: firmware never looks at the date, but people's tools do."""
_VERITY_BITS = 4096
_FIRMWARE_BITS = 2048
"""What every firmware with secure boot knows; UEFI Specification, section 32.4.1."""
_IGNORED = "# Private keys stay out of git; certificates and .auth files may be in it.\n*.key\n"


def make_keys(directory: Path, *, name: str, now: int) -> tuple[Path, ...]:
    """Write all keys into `directory`, which has to be empty or missing; gives the files.

    `name` is what certificates call their owner, `now` the time they begin at, in seconds since
    1970. Either all files are there in the end or none is. Raises Error.
    """
    place = directory.resolve()
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise Error(
            f"cannot make keys in {directory}: something is there, and nothing is overwritten",
            hint="give another directory with `--directory`",
        )
    files = _files(name, now)
    try:
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


def _files(name: str, now: int) -> Mapping[str, bytes]:
    public, secret = _release(name)
    verity = _certified(f"{name} verity", _VERITY_BITS, now)
    return {
        "release.key": secret,
        "release.pub": public,
        "verity.key": _pem(verity[0]),
        "verity.crt": _certificate_pem(verity[1]),
        **{f"secure-boot/{path}": content for path, content in _secure_boot(name, now).items()},
        ".gitignore": _IGNORED.encode(),
    }


def _release(name: str) -> tuple[bytes, bytes]:
    import pysequoia

    # It has no end: a device that was off for years has to trust the next update all the same.
    key = pysequoia.Tsk.generate(
        f"{name} releases",
        profile=pysequoia.Profile.RFC4880,  # what gpg knows
        cipher_suite=pysequoia.CipherSuite.Cv25519,
    )
    return str(key.extract_certificate()).encode(), str(key).encode()


def _secure_boot(name: str, now: int) -> Mapping[str, bytes]:
    from cryptography.hazmat.primitives.serialization import Encoding

    made = {one: _certified(f"{name} {one}", _FIRMWARE_BITS, now) for one in VARIABLES}
    platform = made["PK"][1].public_bytes(Encoding.DER)
    owner = derive_uuid("secure boot", platform.hex())
    above: Mapping[Variable, Variable] = {"PK": "PK", "KEK": "PK", "db": "KEK"}
    files: dict[str, bytes] = {}
    for one, (key, certificate) in made.items():
        content = signature_list(certificate.public_bytes(Encoding.DER), owner)
        files |= {
            f"{one}.key": _pem(key),
            f"{one}.crt": _certificate_pem(certificate),
            f"{one}.auth": _signed_update(one, content, *made[above[one]], now=now),
        }
    return files


def _signed_update(
    variable: "Variable", content: bytes, key: "RSAPrivateKey", above: "Certificate", *, now: int
) -> bytes:
    signer = as_signer(above)
    return update(variable, content, signer, lambda data: key.sign(data, *rsa_sha256()), moment=now)


def _certified(name: str, bits: int, now: int) -> "tuple[RSAPrivateKey, Certificate]":
    """A private key with a certificate that it has signed itself, RFC 5280."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    called = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name[:64])])
    begin = dt.datetime.fromtimestamp(now, dt.UTC)
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
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(called)
        .issuer_name(called)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin.replace(year=begin.year + _YEARS, month=1, day=1))
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return key, builder.sign(key, hashes.SHA256())


def _pem(key: "RSAPrivateKey") -> bytes:
    from cryptography.hazmat.primitives import serialization

    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _certificate_pem(certificate: "Certificate") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    mode = 0o600 if path.suffix == ".key" else 0o644
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
