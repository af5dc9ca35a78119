"""Keys that cannot be used are told of in one sentence; nothing tells of the keys themselves."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pysequoia
import pytest

from osloom.base.errors import Error
from osloom.keys.certificate import load_certificate
from osloom.keys.open import SigningKeys, open_keys
from osloom.keys.sign import sign_release, sign_verity
from osloom.keys.signer import check_signature
from osloom.model.providers import Key, Keys

YEAR = 365 * 24 * 3600
ALL = Keys(directory="keys")


def refused(keys: Keys, base: Path, now: int) -> str:
    with pytest.raises(Error) as caught:
        open_keys(keys, base, now=now)
    assert caught.value.hint
    return caught.value.message.replace(f"{base}/", "")


def test_a_definition_without_keys_signs_nothing(tmp_path: Path, now: int) -> None:
    assert open_keys(Keys(), tmp_path, now=now) == SigningKeys()


def test_a_directory_gives_every_key(keys: Path, now: int) -> None:
    found = open_keys(ALL, keys.parent, now=now)
    assert found.release is not None
    assert found.verity is not None
    assert found.secure_boot is not None
    assert found.verity.certificate == load_certificate(keys / "verity.crt")
    assert found.secure_boot.certificate == load_certificate(keys / "secure-boot/db.crt")
    assert sorted(found.enrolment) == ["KEK.auth", "PK.auth", "db.auth"]
    assert found.warnings == ()


def test_a_key_that_is_named_is_opened_alone(keys: Path, now: int) -> None:
    found = open_keys(Keys(verity="keys/verity.key"), keys.parent, now=now)
    assert found.verity is not None
    assert (found.release, found.secure_boot, found.enrolment) == (None, None, {})


Change = Callable[[Path], object]
WRONG: dict[str, tuple[Change, str]] = {
    "private release key missing": (
        lambda keys: (keys / "release.key").unlink(),
        "cannot find the key keys/release.key",
    ),
    "certificate missing": (
        lambda keys: (keys / "verity.crt").unlink(),
        "cannot find the key keys/verity.crt",
    ),
    "key of another certificate": (
        lambda keys: shutil.copy(keys / "secure-boot/KEK.key", keys / "secure-boot/db.key"),
        "cannot sign with keys/secure-boot/db.key: its certificate is of another key",
    ),
    "release key of another public key": (
        lambda keys: (keys / "release.pub").write_text(
            str(pysequoia.Tsk.generate("other").extract_certificate())
        ),
        "cannot sign with keys/release.key: its public key is of another private key",
    ),
    "private key where the public one belongs": (
        lambda keys: shutil.copy(keys / "release.key", keys / "release.pub"),
        "cannot use keys/release.pub: it holds a private key",
    ),
    "no OpenPGP key": (
        lambda keys: shutil.copy(keys / "verity.key", keys / "release.key"),
        "cannot read the private key keys/release.key: it is not an OpenPGP one",
    ),
    "no PEM": (
        lambda keys: shutil.copy(keys / "release.key", keys / "verity.key"),
        "cannot read the private key keys/verity.key: it is not one in PEM, or the passphrase is wrong",
    ),
    "no certificate": (
        lambda keys: shutil.copy(keys / "verity.key", keys / "verity.crt"),
        "cannot read keys/verity.crt: it is not an X.509 certificate",
    ),
    "one update of firmware missing": (
        lambda keys: (keys / "secure-boot/PK.auth").unlink(),
        "cannot find the key keys/secure-boot/PK.auth",
    ),
    "update of another certificate": (
        lambda keys: shutil.copy(keys / "secure-boot/KEK.auth", keys / "secure-boot/db.auth"),
        "cannot enrol keys/secure-boot/db.auth: it does not bring the certificate keys/secure-boot/db.crt",
    ),
    "enrolment of another PK": (
        lambda keys: shutil.copy(keys / "secure-boot/db.crt", keys / "secure-boot/PK.crt"),
        "cannot enrol keys/secure-boot/PK.auth: it does not bring the certificate keys/secure-boot/PK.crt",
    ),
    "enrolment of another KEK": (
        lambda keys: shutil.copy(keys / "secure-boot/PK.auth", keys / "secure-boot/KEK.auth"),
        "cannot enrol keys/secure-boot/KEK.auth: it does not bring the certificate keys/secure-boot/KEK.crt",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said(keys: Path, now: int, name: str) -> None:
    change, expected = WRONG[name]
    change(keys)
    assert refused(ALL, keys.parent, now) == expected


def test_a_certificate_that_is_over_or_not_yet_valid_is_refused(keys: Path, now: int) -> None:
    used = Keys(verity="keys/verity.key")
    assert refused(used, keys.parent, now + 20 * YEAR) == (
        "cannot use keys/verity.crt: it was valid until 2046-01-01"
    )
    assert refused(used, keys.parent, now - 1) == (
        "cannot use keys/verity.crt: it is valid from 2026-09-21 14:13 UTC on"
    )


def test_what_others_can_read_and_what_ends_soon_is_warned_of(keys: Path, now: int) -> None:
    (keys / "verity.key").chmod(0o640)
    found = open_keys(Keys(verity="keys/verity.key"), keys.parent, now=now + 19 * YEAR + YEAR // 5)
    assert [one.replace(f"{keys}/", "") for one in found.warnings] == [
        "verity.key can be read by other users of this machine: `chmod 600 verity.key`",
        "verity.crt is valid until 2046-01-01 only",
    ]


def test_a_passphrase_comes_from_the_environment(
    keys: Path, now: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cryptography.hazmat.primitives import serialization

    path = keys / "verity.key"
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"correct horse"),
        )
    )
    used = Keys(verity="keys/verity.key")
    assert refused(used, keys.parent, now) == (
        "cannot read the private key keys/verity.key: it has a passphrase"
    )
    monkeypatch.setenv("OSLOOM_KEY_PASSPHRASE", "wrong")
    assert "or the passphrase is wrong" in refused(used, keys.parent, now)
    monkeypatch.setenv("OSLOOM_KEY_PASSPHRASE", "correct horse")
    assert open_keys(used, keys.parent, now=now).verity is not None


SIGN = """\
import os, sys
from pathlib import Path
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
key = serialization.load_pem_private_key(Path(os.environ["KEY"]).read_bytes(), None)
data = sys.stdin.buffer.read()
sys.stdout.buffer.write(key.sign(data, padding.PKCS1v15(), hashes.SHA256()))
"""


def test_a_command_signs_what_it_reads(
    keys: Path, now: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (keys.parent / "sign-it").write_text(f"#!{sys.executable}\n{SIGN}")
    (keys.parent / "sign-it").chmod(0o755)
    monkeypatch.setenv("KEY", str(keys / "verity.key"))
    used = Keys(verity=Key(command=("./sign-it",), certificate="keys/verity.crt"))
    signer = open_keys(used, keys.parent, now=now).verity
    own = open_keys(Keys(verity="keys/verity.key"), keys.parent, now=now).verity
    assert signer is not None
    assert own is not None
    assert sign_verity("ab" * 32, signer) == sign_verity("ab" * 32, own)

    monkeypatch.setenv("KEY", str(keys / "secure-boot/db.key"))
    with pytest.raises(Error) as caught:
        signer.sign(b"data")
    assert caught.value.message == (
        "cannot use the signature of `./sign-it`: it is not one of the certificate's key"
    )
    monkeypatch.setenv("KEY", "/nonexistent")
    with pytest.raises(Error, match="`sign-it` exited with status 1"):
        signer.sign(b"data")


def test_a_command_that_signs_releases_writes_openpgp(keys: Path, now: int) -> None:
    write = "import sys; sys.stdout.write('hello')"
    used = Keys(directory="keys", release=Key(command=(sys.executable, "-c", write)))
    signer = open_keys(used, keys.parent, now=now).release
    assert signer is not None
    with pytest.raises(Error, match="it is not an OpenPGP signature"):
        sign_release(b"data", signer)


def test_a_release_key_that_is_over_is_refused(keys: Path) -> None:
    key = pysequoia.Tsk.generate("short", validity_seconds=60)
    (keys / "release.key").write_text(str(key))
    (keys / "release.pub").write_text(str(key.extract_certificate()))
    assert refused(ALL, keys.parent, 2**32 - 1).startswith("cannot use keys/release.pub: the key ")


def test_firmware_knows_rsa_alone_and_dm_verity_both(keys: Path, now: int) -> None:
    elliptic(keys / "verity.key", now)
    elliptic(keys / "secure-boot/db.key", now)
    (keys / "secure-boot/db.auth").unlink()
    found = open_keys(Keys(verity="keys/verity.key"), keys.parent, now=now).verity
    assert found is not None
    check_signature(found.certificate, found.sign(b"data"), b"data", who="the key")
    assert refused(Keys(secure_boot="keys/secure-boot/db.key"), keys.parent, now) == (
        "cannot sign EFI programs with keys/secure-boot/db.crt: firmware knows RSA keys only"
    )


def elliptic(path: Path, now: int) -> None:
    """Put a key of P-256 with its certificate in the place of another one."""
    import datetime as dt

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "elliptic")])
    begin = dt.datetime.fromtimestamp(now, dt.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(begin).not_valid_after(begin + dt.timedelta(days=900))
    path.with_suffix(".crt").write_bytes(
        builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    )
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
