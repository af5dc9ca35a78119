"""Release files: signed lists of a suite's indexes. What is used is only what a key has signed."""

import datetime as dt
import email.utils
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

import msgspec

from osloom.base.digest import Digest, digest_bytes, from_hex
from osloom.base.errors import FetchError, LockError
from osloom.sources.debian.deb822 import parse_stanza

_HOST_KEYRINGS = (
    Path("/usr/share/keyrings/debian-archive-keyring.pgp"),
    Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
)
_SLACK = 3600
"""Seconds that clocks may differ."""


class File(msgspec.Struct, frozen=True, kw_only=True):
    """One file a Release names."""

    digest: Digest
    size: int


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """A verified Release file."""

    digest: Digest
    suite: str
    date: int
    valid_until: int | None
    by_hash: bool
    files: Mapping[str, File]
    """By path below the suite's directory."""
    signers: tuple[str, ...]


def load_keyring(path: Path | None) -> bytes:
    """The keys that may sign: the given file, the host's Debian keyring, or the one shipped."""
    if path is not None:
        try:
            return path.read_bytes()
        except OSError as error:
            raise LockError(f"cannot read the keyring {path}: {error.strerror}") from error
    for place in _HOST_KEYRINGS:
        if place.exists():
            return place.read_bytes()
    return resources.files(__package__).joinpath("keys/debian-archive.pgp").read_bytes()


def verify(signed: bytes, keyring: bytes, *, name: str) -> tuple[bytes, tuple[str, ...]]:
    """The text that is signed, and the fingerprints of the keys whose signature is good."""
    import pysequoia

    try:
        certificates = pysequoia.Cert.split_bytes(keyring)
    except Exception as error:
        raise LockError(f"cannot read the keys for {name}: {error}") from error
    try:
        verified = pysequoia.verify(bytes=signed, store=lambda _ids: certificates)
    except Exception as error:
        raise LockError(
            f"cannot trust {name}: its signature is not good ({_first_line(error)})",
            hint="the repository was changed on its way, or its key is not in the keyring: "
            "set `keyring` or `key`",
        ) from error
    signers = sorted({sig.certificate.upper() for sig in verified.valid_sigs})
    if not signers or verified.bytes is None:
        raise LockError(f"cannot trust {name}: no known key has signed it")
    return verified.bytes, tuple(signers)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def parse_release(
    signed: bytes, keyring: bytes, *, name: str, now: int, check_valid_until: bool = True
) -> Release:
    """Verify and read an InRelease file. Raises LockError when it is forged or out of date."""
    text, signers = verify(signed, keyring, name=name)
    fields = parse_stanza(text.decode())
    date = _time(fields, "Date", name)
    if date is None:
        raise LockError(f"cannot use {name}: it has no Date")
    until = _time(fields, "Valid-Until", name)
    _check_time(name, date, until if check_valid_until else None, now)
    return Release(
        digest=digest_bytes(text),
        suite=fields.get("Suite", ""),
        date=date,
        valid_until=until,
        by_hash=fields.get("Acquire-By-Hash") == "yes",
        files=_files(fields.get("SHA256", "").splitlines(), name),
        signers=signers,
    )


def _check_time(name: str, date: int, until: int | None, now: int) -> None:
    if date > now + _SLACK:
        raise LockError(
            f"cannot use {name}: it is dated {_shown(date)}, which is in the future",
            hint=f"this machine's clock says {_shown(now)}: set it right",
        )
    if until is not None and until < now:
        raise LockError(
            f"cannot use {name}: it was valid until {_shown(until)}",
            hint="the mirror is out of date, or someone holds updates back: use another mirror, "
            "or set `check-valid-until = false` for one that is meant to stand still",
        )


def _shown(moment: int) -> str:
    return dt.datetime.fromtimestamp(moment, dt.UTC).strftime("%Y-%m-%d %H:%M UTC")


def _time(fields: Mapping[str, str], field: str, name: str) -> int | None:
    text = fields.get(field)
    if text is None:
        return None
    try:
        return int(email.utils.parsedate_to_datetime(text.replace("UTC", "+0000")).timestamp())
    except ValueError as error:
        raise LockError(f"cannot use {name}: its {field} is `{text}`") from error


def _files(lines: Sequence[str], name: str) -> dict[str, File]:
    files: dict[str, File] = {}
    for line in lines:
        words = line.split()
        if len(words) == 3:
            files[words[2]] = File(digest=from_hex(words[0]), size=int(words[1]))
    if not files:
        raise FetchError(f"cannot use {name}: it lists no SHA256 digests")
    return files
