"""What osloom signs, judged by the programs that verify it: gpg, openssl, sbverify, softhsm."""

import base64
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from osloom.base.errors import Error
from osloom.engine.tools import Tools, start_from
from osloom.keys.certificate import load_certificate
from osloom.keys.open import SigningKeys, open_keys
from osloom.keys.sign import (
    keyring,
    sign_efi,
    sign_release,
    sign_verity,
    verity_signature_partition,
)
from osloom.model import authenticode
from osloom.model.efi_variable import VARIABLES, signed_part
from osloom.model.providers import Key, Keys
from support.cli import environment, osloom
from support.programs import Programs
from support.secrets import secrets_of, where_secrets_are

NAMES = "bubblewrap gpg gpg-agent openssl sbsigntool osslsigncode softhsm2 opensc systemd-boot-efi"
SHELL_AND_STUBS = "efi-shell-x64 linux-image-cloud-amd64"
ROOT_HASH = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
BOOT = "usr/lib/systemd/boot/efi/systemd-bootx64.efi"
STUB = "usr/lib/systemd/boot/efi/linuxx64.efi.stub"


@dataclass(frozen=True)
class World:
    """Keys that `osloom keys new` has made, and the programs."""

    programs: Programs
    directory: Path
    """Of the project; the keys are in `keys`."""
    signing: SigningKeys
    now: int
    """When the keys were made."""

    def run(self, program: str, *arguments: str | Path) -> "subprocess.CompletedProcess[bytes]":
        """Run a program, however it ends."""
        return subprocess.run(
            [*start_from(self.programs.root, f"usr/bin/{program}"), *arguments],
            cwd=self.directory,
            capture_output=True,
            check=False,
        )

    def accepts(self, program: str, *arguments: str | Path) -> bool:
        return self.run(program, *arguments).returncode == 0

    def write(self, name: str, content: bytes) -> Path:
        (self.directory / name).write_bytes(content)
        return self.directory / name


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, store: Path) -> World:
    programs = Programs(
        tmp_path_factory.mktemp("programs"), store, *NAMES.split(), *SHELL_AND_STUBS.split()
    )
    directory = tmp_path_factory.mktemp("keys")
    osloom(directory, "keys", "new", "--name", "edge").check()
    now = int((directory / "keys/release.key").stat().st_mtime)
    opened = open_keys(Keys(directory="keys"), directory, now=now)
    return World(programs, directory, opened, now)


def verifies_release(world: World, ring: bytes, data: bytes, signature: bytes) -> bool:
    """As systemd-pull of systemd 257 asks gpg, src/import/pull-common.c."""
    home = world.directory / "gpg"
    home.mkdir(mode=0o700, exist_ok=True)
    done = world.run(
        "gpg",
        *("--no-options", "--no-default-keyring", "--no-auto-key-locate"),
        *("--no-auto-check-trustdb", "--batch", "--trust-model=always", f"--homedir={home}"),
        f"--keyring={world.write('ring.gpg', ring)}",
        *("--verify", world.write("SHA256SUMS.gpg", signature)),
        world.write("SHA256SUMS", data),
    )
    return done.returncode == 0


def test_gpg_verifies_a_release_and_nothing_else(world: World, tmp_path: Path) -> None:
    assert world.signing.release is not None
    ring = keyring(world.signing.release.public)
    signature = sign_release(b"sums\n", world.signing.release)
    assert not ring.startswith(b"-----")
    assert not signature.startswith(b"-----")
    assert verifies_release(world, ring, b"sums\n", signature)
    assert not verifies_release(world, ring, b"Sums\n", signature)
    assert not verifies_release(world, ring, b"sums\n", signature[:-1] + b"\0")

    osloom(tmp_path, "keys", "new").check()
    other = (tmp_path / "keys/release.pub").read_bytes()
    assert not verifies_release(world, keyring(other), b"sums\n", signature)
    # Whoever changes keys has both in the file for as long as devices know the old one only.
    both = (world.directory / "keys/release.pub").read_bytes() + other
    assert verifies_release(world, keyring(both), b"sums\n", signature)


def test_gpg_itself_may_be_the_command_that_signs(world: World, tmp_path: Path) -> None:
    (tmp_path / "release.key").write_bytes((world.directory / "keys/release.key").read_bytes())
    gpg = Tools(world.programs.root).argv(["gpg", "--batch", "--homedir", "."], work=tmp_path)
    subprocess.run([*gpg, "--import", "release.key"], check=True, capture_output=True)
    used = Keys(directory="keys", release=Key(command=(*gpg, "--detach-sign")))
    signer = open_keys(used, world.directory, now=world.now).release
    assert signer is not None
    signature = sign_release(b"sums\n", signer)
    assert verifies_release(world, keyring(signer.public), b"sums\n", signature)


def verifies_root_hash(world: World, root_hash: str, message: bytes) -> bool:
    """As `PKCS7_verify` in systemd, src/shared/dissect-image.c: the signer has to be known."""
    return world.accepts(
        "openssl",
        *("smime", "-verify", "-binary", "-inform", "der", "-noverify", "-nointern"),
        *("-in", world.write("signature", message)),
        *("-content", world.write("root-hash", root_hash.encode())),
        *("-certfile", "keys/verity.crt"),
    )


def test_openssl_verifies_a_root_hash(world: World) -> None:
    assert world.signing.verity is not None
    message = sign_verity(ROOT_HASH, world.signing.verity)
    assert message == sign_verity(ROOT_HASH, world.signing.verity)
    assert verifies_root_hash(world, ROOT_HASH, message)
    assert not verifies_root_hash(world, ROOT_HASH.replace("5", "6"), message)
    # It is what openssl itself makes, whose documentation of dm-verity says how.
    made = world.directory / "made"
    world.programs(
        "usr/bin/openssl",
        *("smime", "-sign", "-nocerts", "-noattr", "-binary", "-outform", "der"),
        *("-in", world.write("root-hash", ROOT_HASH.encode()), "-out", made),
        *("-inkey", world.directory / "keys/verity.key"),
        *("-signer", world.directory / "keys/verity.crt", "-md", "sha256"),
    )
    assert message == made.read_bytes()


def test_a_signature_partition_says_what_is_signed_by_whom(world: World) -> None:
    assert world.signing.verity is not None
    said = json.loads(verity_signature_partition(ROOT_HASH, world.signing.verity))
    fingerprint = world.programs(
        "usr/bin/openssl",
        *("x509", "-noout", "-fingerprint", "-sha256"),
        *("-in", world.directory / "keys/verity.crt"),
    )
    assert said["rootHash"] == ROOT_HASH
    assert said["certificateFingerprint"] == (
        fingerprint.strip().partition("=")[2].replace(":", "").lower()
    )
    assert verifies_root_hash(world, ROOT_HASH, base64.b64decode(said["signature"]))
    assert list(said) == ["rootHash", "certificateFingerprint", "signature"]


@pytest.fixture(scope="module", params=["systemd-boot", "stub", "kernel", "shell"])
def program(world: World, request: pytest.FixtureRequest) -> bytes:
    """An EFI program of Debian; its kernel has a signature already."""
    root = world.programs.root
    (kernel,) = root.glob("boot/vmlinuz-*")
    paths = {
        "systemd-boot": root / BOOT,
        "stub": root / STUB,
        "kernel": kernel,
        "shell": root / "usr/share/efi-shell-x64/shellx64.efi",
    }
    return paths[str(request.param)].read_bytes()


def sbverify(world: World, image: bytes, certificate: str = "db") -> bool:
    path = world.write("program.efi", image)
    return world.accepts("sbverify", "--cert", f"keys/secure-boot/{certificate}.crt", path)


def test_sbverify_and_osslsigncode_verify_a_program(world: World, program: bytes) -> None:
    assert world.signing.secure_boot is not None
    signed = sign_efi(program, world.signing.secure_boot)
    assert signed == sign_efi(program, world.signing.secure_boot)
    assert sbverify(world, signed)
    assert not sbverify(world, signed, "KEK")
    assert not sbverify(world, program)
    if not authenticode.signatures(program):
        assert world.accepts(
            "osslsigncode",
            *("verify", "-CAfile", "keys/secure-boot/db.crt"),
            *("-in", world.write("program.efi", signed)),
        )


def test_one_changed_byte_anywhere_is_noticed(world: World, program: bytes) -> None:
    assert world.signing.secure_boot is not None
    signed = sign_efi(program, world.signing.secure_boot)
    for place in (0x40, 0x200, len(program) // 2, len(program) * 3 // 4):
        changed = bytearray(signed)
        changed[place] ^= 1
        assert not sbverify(world, bytes(changed)), place


def test_the_signature_is_that_of_sbsign(world: World) -> None:
    """sbsign adds when it was made; the digest of the program is the same."""
    assert world.signing.secure_boot is not None
    image = (world.programs.root / BOOT).read_bytes()
    made = world.directory / "sbsigned.efi"
    world.programs(
        "usr/bin/sbsign",
        *("--key", world.directory / "keys/secure-boot/db.key"),
        *("--cert", world.directory / "keys/secure-boot/db.crt"),
        *("--output", made, world.write("plain.efi", image)),
    )
    digest = authenticode.digest(image)
    (theirs,) = authenticode.signatures(made.read_bytes())
    (ours,) = authenticode.signatures(sign_efi(image, world.signing.secure_boot))
    assert digest in theirs
    assert digest in ours


def test_openssl_verifies_the_updates_of_the_firmware(world: World) -> None:
    """PK signs itself and KEK, KEK signs db: the rest of the way firmware goes in a boot test."""
    from osloom.model.cms import wrapped

    made = load_certificate(world.directory / "keys/verity.crt").not_valid_before_utc
    now = int(made.timestamp())
    for name, above in zip(VARIABLES, ("PK", "PK", "KEK"), strict=True):
        update = world.signing.enrolment[f"{name}.auth"]
        length = int.from_bytes(update[16:20], "little")
        message, content = update[40 : 16 + length], update[16 + length :]
        assert world.accepts(
            "openssl",
            *("smime", "-verify", "-binary", "-inform", "der"),
            *("-CAfile", f"keys/secure-boot/{above}.crt"),
            *("-in", world.write("message", wrapped(message))),
            *("-content", world.write("content", signed_part(name, content, now))),
        )


PIN = "1234"
TOKEN = "pkcs11:token=appliance;object="


@pytest.fixture(scope="module")
def token(world: World) -> World:
    """The same world with keys in softhsm, and their public parts in `public`."""
    directory = world.directory
    (directory / "tokens").mkdir()
    (directory / "softhsm.conf").write_text(f"directories.tokendir = {directory}/tokens\n")
    os.environ["SOFTHSM2_CONF"] = str(directory / "softhsm.conf")
    module = ("--module", world.programs.root / MODULE)
    world.programs(
        "usr/bin/softhsm2-util",
        *(*module, "--init-token", "--free", "--label", "appliance"),
        *("--pin", PIN, "--so-pin", "5678"),
    )
    kinds = {"release": "rsa:2048", "verity": "EC:prime256v1", "secure-boot": "rsa:2048"}
    for number, (name, kind) in enumerate(kinds.items(), start=1):
        world.programs(
            "usr/bin/pkcs11-tool",
            *(*module, "--login", "--pin", PIN, "--keypairgen", "--usage-sign"),
            *("--key-type", kind, "--label", name, "--id", f"{number:02}"),
        )
    uris = [word for name in kinds for word in (f"--{name}", TOKEN + name)]
    done = with_token(world, "-m", "osloom", "keys", "new", "--directory", "public", *uris)
    assert done.returncode == 0, done.stderr
    return world


MODULE = "usr/lib/softhsm/libsofthsm2.so"


def with_token(world: World, *arguments: str, pin: str = PIN) -> "subprocess.CompletedProcess[str]":
    """Run Python. The token's module is of Debian, and wants Debian's C library."""
    return subprocess.run(
        [*start_from(world.programs.root, sys.executable), *arguments],
        cwd=world.directory,
        env=environment(
            OSLOOM_PKCS11_PIN=pin,
            OSLOOM_PKCS11_MODULE=str(world.programs.root / MODULE),
            PYTHONPATH=os.pathsep.join(sys.path),
        ),
        capture_output=True,
        text=True,
        check=False,
    )


SIGN = """\
import sys, time
from pathlib import Path
from osloom.base.errors import Error
from osloom.keys.open import open_keys
from osloom.keys.sign import keyring, sign_efi, sign_release, sign_verity
from osloom.model.providers import Keys
release, verity, boot, image, root_hash = sys.argv[1:]
keys = Keys(directory="public", release=release, verity=verity, secure_boot=boot)
try:
    found = open_keys(keys, Path(), now=int(time.time()))
    Path("token.efi").write_bytes(sign_efi(Path(image).read_bytes(), found.secure_boot))
    Path("token.p7s").write_bytes(sign_verity(root_hash, found.verity))
    Path("token.gpg").write_bytes(sign_release(b"sums\\n", found.release))
    Path("token.ring").write_bytes(keyring(found.release.public))
except Error as error:
    sys.exit(f"{error.message} | {error.hint}")
"""


def sign_in_token(world: World, *, pin: str = PIN, **uris: str) -> str:
    """What it complained of."""
    names = ("release", "verity", "boot")
    wanted = {"release": "release", "verity": "verity", "boot": "secure-boot"}
    given = [uris.get(name, TOKEN + wanted[name]) for name in names]
    image = str(world.programs.root / BOOT)
    return with_token(world, "-c", SIGN, *given, image, ROOT_HASH, pin=pin).stderr.strip()


def test_a_token_signs_releases_root_hashes_and_programs(token: World) -> None:
    public = token.directory / "public"
    assert not list(public.glob("*.key"))
    assert not (public / "secure-boot/db.key").exists()
    assert sign_in_token(token) == ""
    path = token.directory / "token.efi"
    assert token.accepts("sbverify", "--cert", public / "secure-boot/db.crt", path)
    assert not token.accepts("sbverify", "--cert", "keys/secure-boot/db.crt", path)
    assert token.accepts(
        "openssl",
        *("smime", "-verify", "-binary", "-inform", "der", "-noverify", "-nointern"),
        *("-in", "token.p7s", "-content", token.write("root-hash", ROOT_HASH.encode())),
        *("-certfile", public / "verity.crt"),
    )
    ring = (token.directory / "token.ring").read_bytes()
    signature = (token.directory / "token.gpg").read_bytes()
    assert verifies_release(token, ring, b"sums\n", signature)
    assert not verifies_release(token, ring, b"Sums\n", signature)


@pytest.mark.parametrize("name", ["verity.crt", "secure-boot/db.crt"])
def test_the_certificate_of_a_token_is_signed_by_itself(token: World, name: str) -> None:
    path = token.directory / "public" / name
    assert token.accepts("openssl", "verify", "-check_ss_sig", "-CAfile", path, path)


def test_a_token_that_does_not_sign_is_said_in_one_sentence(token: World) -> None:
    pin = "OSLOOM_PKCS11_PIN"
    shown = "most tokens show it to who has the PIN in"
    boot = TOKEN + "secure-boot"
    cases = (
        (boot, "4321", f"PinIncorrect | is the token there, and its PIN in {pin}?"),
        (
            f"{boot}s",
            PIN,
            f"no private keys are so called | name one by `object=` or `id=`; {shown} {pin}",
        ),
        (
            boot.replace("appliance", "other"),
            PIN,
            "no tokens are so called | the tokens are: `appliance`, ``",
        ),
    )
    for changed, given, expected in cases:
        said = sign_in_token(token, boot=changed, pin=given)
        assert said == f"cannot sign with `{changed}`: {expected}"


def test_a_key_of_another_certificate_is_noticed(token: World) -> None:
    release, boot = TOKEN + "release", TOKEN + "secure-boot"
    assert sign_in_token(token, boot=release).startswith(
        f"cannot use the signature of `{release}`: it is not one of the certificate's key"
    )
    assert sign_in_token(token, release=boot).startswith(
        f"cannot sign with `{boot}`: the public key is of another private key"
    )


def test_openssl_may_be_the_command_that_signs(world: World) -> None:
    """What docs/keys.md promises of commands: the input on one side, the bare signature out."""
    assert world.signing.secure_boot is not None
    openssl = start_from(world.programs.root, "usr/bin/openssl")
    command = (
        *openssl,
        "dgst",
        "-sha256",
        "-sign",
        str(world.directory / "keys/secure-boot/db.key"),
    )
    used = Keys(directory="keys", secure_boot=Key(command=command))
    signer = open_keys(used, world.directory, now=world.now).secure_boot
    assert signer is not None
    image = (world.programs.root / BOOT).read_bytes()
    assert sign_efi(image, signer) == sign_efi(image, world.signing.secure_boot)


def test_no_private_key_gets_into_the_store_an_image_or_a_log(tmp_path: Path, store: Path) -> None:
    (tmp_path / "osloom.toml").write_text(
        '[keys]\ndirectory = "keys"\n[image.a]\npackages = ["base-files"]\nconfigure = "none"\n'
        'outputs = ["tar"]\n[image.a.files]\n"/etc/verity.d/edge.crt" = "keys/verity.crt"\n'
    )
    said = [osloom(tmp_path, "keys", "new").check()]
    secrets = secrets_of(tmp_path / "keys")
    own = tmp_path / "store"
    given = {"OSLOOM_STORE": str(own)}
    commands = (("lock",), ("build", "--progress", "json"), ("keys", "show", "--json"))
    said += [osloom(tmp_path, *command, **given).check() for command in commands]
    (tmp_path / "log").write_text("".join(one.stdout + one.stderr for one in said))
    assert where_secrets_are(secrets, own, tmp_path / "dist", tmp_path / "log") == []
    assert where_secrets_are(secrets, tmp_path / "keys") == sorted(
        tmp_path / "keys" / name
        for name in (
            "release.key",
            "secure-boot/KEK.key",
            "secure-boot/PK.key",
            "secure-boot/db.key",
            "verity.key",
        )
    )
    assert store


def test_what_signs_and_what_fails_says_nothing_of_the_key(world: World) -> None:
    secrets = secrets_of(world.directory / "keys")
    assert world.signing.secure_boot is not None
    assert world.signing.verity is not None
    assert world.signing.release is not None
    with pytest.raises(Error) as caught:
        sign_verity("no hash", world.signing.verity)
    image = (world.programs.root / BOOT).read_bytes()
    world.write("said", repr((world.signing, caught.value.__reduce__())).encode())
    world.write("signed.efi", sign_efi(image, world.signing.secure_boot))
    world.write("signed.p7s", sign_verity(ROOT_HASH, world.signing.verity))
    world.write("signed.gpg", sign_release(b"sums", world.signing.release))
    for name in ("said", "signed.efi", "signed.p7s", "signed.gpg"):
        assert where_secrets_are(secrets, world.directory / name) == []
