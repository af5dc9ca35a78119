"""Keys of releases: OpenPGP, RFC 9580, as far as gpg of Debian knows it (version 4)."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from osloom.base.errors import Error
from osloom.keys.signer import PASSPHRASE, locked, passphrase, read_secret, run_signer
from osloom.keys.token import Token
from osloom.model import openpgp

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey


class ReleaseSigner(Protocol):
    """A private OpenPGP key."""

    @property
    def public(self) -> bytes:
        """The OpenPGP certificates that devices verify with, armoured or binary."""

    def sign(self, data: bytes) -> bytes:
        """A detached OpenPGP signature of `data`, binary.

        Raises Error when it cannot be made, or `public` does not verify it.
        """


class FileReleaseSigner:
    """A private OpenPGP key in a file, as `gpg --export-secret-keys` writes it."""

    def __init__(self, path: Path, public: bytes) -> None:
        import pysequoia

        self.public = public
        self._path = path
        data = read_secret(path)
        try:
            self._key = pysequoia.Tsk.from_bytes(data)
        except Exception as error:
            raise Error(
                f"cannot read the private key {path}: it is not an OpenPGP one",
                hint="it begins with `-----BEGIN PGP PRIVATE KEY BLOCK-----`",
            ) from error
        own = self._key.extract_certificate().fingerprint
        if own not in [one.fingerprint for one in certificates(public, name=f"the key of {path}")]:
            raise Error(
                f"cannot sign with {path}: its public key is of another private key",
                hint="keep the two files that were made together",
            )

    def sign(self, data: bytes) -> bytes:
        import pysequoia

        try:
            signer = self._key.signer(passphrase())
        except Exception as error:
            if passphrase() is None:
                raise locked(self._path) from error
            raise Error(
                f"cannot sign with {self._path}: {_first_line(error)}",
                hint=f"is it the passphrase in {PASSPHRASE}?",
            ) from error
        mode = pysequoia.SignatureMode.DETACHED
        made = bytes(pysequoia.sign(signer, data, mode=mode, armor=False))
        verify(data, made, self.public, who=str(self._path))
        return made


class CommandReleaseSigner:
    """A program that reads what is to be signed and writes a detached OpenPGP signature."""

    def __init__(self, argv: tuple[str, ...], base: Path, public: bytes) -> None:
        self.public = public
        self._argv = argv
        self._base = base

    def sign(self, data: bytes) -> bytes:
        import pysequoia

        said = run_signer(self._argv, self._base, data)
        who = f"`{self._argv[0]}`"
        try:
            made = bytes(pysequoia.Sig.from_bytes(said))
        except Exception as error:
            raise Error(
                f"cannot use what {who} wrote: it is not an OpenPGP signature",
                hint="it has to be a detached one, as `gpg --detach-sign` writes it",
            ) from error
        verify(data, made, self.public, who=who)
        return made


class TokenReleaseSigner:
    """An RSA key in a PKCS#11 token, whose OpenPGP certificate osloom has made."""

    def __init__(self, uri: str, base: Path, public: bytes, *, now: int) -> None:
        """`now` is what signatures say of their time, in seconds since 1970."""
        self.public = public
        self._token = Token(uri, base)
        self._now = now

    def sign(self, data: bytes) -> bytes:
        own = find_packet(self.public, rsa_key(self._token).public_numbers().n)
        if own is None:
            raise Error(
                f"cannot sign with `{self._token.uri}`: the public key is of another private key",
                hint="`osloom keys new --release URI` writes the public key of a token's key",
            )
        made = openpgp.sign_data(own, data, self._token.sign, moment=self._now)
        verify(data, made, self.public, who=f"`{self._token.uri}`")
        return made


def rsa_key(token: Token) -> "RSAPublicKey":
    """The public part of a token's key. Raises Error when it is not RSA."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    found = token.public_key()
    if not isinstance(found, RSAPublicKey):
        raise Error(
            f"cannot use `{token.uri}`: it is not an RSA key",
            hint="releases and EFI programs are signed by RSA keys where these are in tokens",
        )
    return found


def certificates(public: bytes, *, name: str) -> Sequence[Any]:
    """The OpenPGP certificates in `public`. Raises Error, which calls them `name`."""
    import pysequoia

    try:
        found: Sequence[Any] = pysequoia.Cert.split_bytes(public)
        is_private = _holds_secrets(public)
    except Exception as error:
        raise Error(
            f"cannot read {name}: {_first_line(error)}",
            hint="`gpg --export` writes public OpenPGP keys",
        ) from error
    if not found or is_private:
        said = "it holds a private key" if found else "no OpenPGP key is in it"
        raise Error(f"cannot use {name}: {said}", hint="it has to be the public part")
    return found


def find_packet(public: bytes, modulus: int) -> bytes | None:
    """The body of the packet with an RSA key, of one of the certificates in `public`."""
    from pysequoia.packet import PacketPile

    for one in certificates(public, name="the release key"):
        for packet in PacketPile.from_bytes(bytes(one)):
            body = bytes(packet.body)
            if openpgp.find_rsa_modulus(body) == modulus:
                return body
    return None


def _holds_secrets(data: bytes) -> bool:
    from pysequoia.packet import PacketPile, Tag

    tags = (Tag.SecretKey, Tag.SecretSubkey)
    return b"PGP PRIVATE KEY" in data or any(one.tag in tags for one in PacketPile.from_bytes(data))


def verify(data: bytes, signature: bytes, public: bytes, *, who: str) -> None:
    """Raises Error when none of the certificates in `public` has signed `data`."""
    import pysequoia

    known = certificates(public, name=f"the public key of {who}")
    try:
        made = pysequoia.Sig.from_bytes(signature)
        pysequoia.verify(bytes=data, store=lambda _ids: known, signature=made)
    except Exception as error:
        raise Error(
            f"cannot use the signature of {who}: its public key does not verify it "
            f"({_first_line(error)})",
            hint="give the public key of the private key that signs",
        ) from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
