"""Where keys and their public parts lie: the table `[keys]`, and the names in its directory."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from osloom.base.errors import Error
from osloom.model.pkcs11_uri import SCHEME
from osloom.model.providers import Key, Keys

Role = Literal["release", "verity", "secure-boot"]
ROLES: tuple[Role, ...] = ("release", "verity", "secure-boot")
FILES: Mapping[Role, str] = {
    "release": "release.pub",
    "verity": "verity.crt",
    "secure-boot": "secure-boot/db.crt",
}
"""The public part of each key in the directory of `osloom keys new`; the private is `.key`."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """One key, of which one of `key`, `uri` and `command` is set."""

    role: Role
    key: Path | None = None
    uri: str | None = None
    command: tuple[str, ...] = ()
    base: Path
    """Of the paths in `command`."""
    public: Path
    """The certificate, or the public OpenPGP key."""


def find_place(keys: Keys, role: Role, base: Path) -> Place | None:
    """Where the key for `role` is; None where the definition names none.

    `base` is the definition's directory. Raises Error when nothing says where the public part is.
    """
    directory = base / keys.directory if keys.directory is not None else None
    given = {"release": keys.release, "verity": keys.verity, "secure-boot": keys.secure_boot}[role]
    if given is None:
        if directory is None:
            return None
        public = directory / FILES[role]
        return Place(role=role, key=public.with_suffix(".key"), base=base, public=public)
    one = Key(key=given) if isinstance(given, str) else given
    uri = one.key if one.key is not None and one.key.startswith(SCHEME) else None
    path = base / one.key if one.key is not None and uri is None else None
    public = _public(one, path, role, base, directory)
    return Place(role=role, key=path, uri=uri, command=one.command or (), base=base, public=public)


def _public(one: Key, path: Path | None, role: Role, base: Path, directory: Path | None) -> Path:
    if one.certificate is not None:
        return base / one.certificate
    if path is not None:
        return path.with_suffix(Path(FILES[role]).suffix)
    if directory is not None:
        return directory / FILES[role]
    raise Error(
        f"cannot sign with the {role} key: nothing says where its public part is",
        hint=f'write `{role} = {{ key = "…", certificate = "keys/{FILES[role]}" }}`',
    )
