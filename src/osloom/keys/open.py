"""The keys that a definition names, opened for signing."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from osloom.keys.signer import ReleaseSigner, Signer
from osloom.model.providers import Keys


class SigningKeys(msgspec.Struct, frozen=True, kw_only=True):
    """What the table `[keys]` names; None where it names nothing."""

    release: ReleaseSigner | None = None
    verity: Signer | None = None
    secure_boot: Signer | None = None
    """Signs EFI programs; its certificate is in the firmware's `db`."""
    enrolment: Mapping[str, bytes] = {}
    """`PK.auth`, `KEK.auth` and `db.auth` for /loader/keys/NAME of the ESP, systemd-boot(7)."""
    warnings: tuple[str, ...] = ()
    """One sentence each, for people."""


def open_keys(keys: Keys, base: Path, *, now: int) -> SigningKeys:
    """Open the keys of `[keys]`; `base` is the definition's directory, `now` in seconds since 1970.

    Raises Error with one sentence when a key is missing, does not match its certificate, or is out
    of date.
    """
    raise NotImplementedError
