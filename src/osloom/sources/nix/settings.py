"""What this host's nix.conf says of binary caches, and where its Nix stores are.

Read as Nix reads it: https://nix.dev/manual/nix/stable/command-ref/conf-file. What osloom has no
use for is passed over. Without Nix these are the settings that Nix itself has by default.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import parse_qs

import msgspec

from osloom.base.errors import FetchError
from osloom.base.numbers import to_number
from osloom.fetch.storage.access import Access
from osloom.fetch.storage.location import is_location

_CACHE = "https://cache.nixos.org/"
_KEY = "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY="
_ALIASES = {
    "binary-caches": "substituters",
    "binary-cache-public-keys": "trusted-public-keys",
}
_MOST_INCLUDED = 16
_PATIENCE = 30.0


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What of nix.conf concerns fetching."""

    substituters: tuple[str, ...] = (_CACHE,)
    """Addresses of binary caches, in order; those that osloom has no way to are not among them."""
    keys: tuple[str, ...] = (_KEY,)
    """Public keys that are trusted, `NAME:BASE64`."""
    netrc: str | None = None
    """Names and passwords for caches: a file of the kind that curl has."""
    certificates: str | None = None
    """Authorities to trust instead of the system's: a file in PEM."""
    patience: float = _PATIENCE
    """Seconds that a cache may be silent, or nearly so."""
    stores: tuple[str, ...] = ()
    """Directories with store paths in them, such as `/nix/store`."""

    def access(self) -> Access:
        return Access(
            netrc=Path(self.netrc) if self.netrc else None,
            certificates=Path(self.certificates) if self.certificates else None,
            patience=self.patience,
            service="cache",
        )


def load_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """The settings of whoever runs osloom. Raises FetchError for a file that Nix would refuse."""
    given = os.environ if environment is None else environment
    values: dict[str, str] = {}
    for name, value in _assignments(given):
        plain = name.removeprefix("extra-")
        key = _ALIASES.get(plain, plain)
        values[key] = f"{_known(values, key)} {value}" if plain != name else value
    substituters = _known(values, "substituters").split()
    silence = values.get("stalled-download-timeout", "")
    return Settings(
        substituters=tuple(dict.fromkeys(one for one in substituters if is_location(one))),
        keys=tuple(dict.fromkeys(_known(values, "trusted-public-keys").split())),
        netrc=values.get("netrc-file") or os.fspath(_directory(given) / "netrc"),
        certificates=values.get("ssl-cert-file") or given.get("NIX_SSL_CERT_FILE") or None,
        patience=float(to_number(silence) or _PATIENCE),
        stores=tuple(os.fspath(one) for one in _stores(values, given)),
    )


def _known(values: Mapping[str, str], name: str) -> str:
    default = {"substituters": _CACHE, "trusted-public-keys": _KEY}
    return values.get(name, default.get(name, ""))


def _directory(environment: Mapping[str, str]) -> Path:
    return Path(environment.get("NIX_CONF_DIR") or "/etc/nix")


def _home(environment: Mapping[str, str], variable: str, below: str) -> Path:
    home = environment.get("HOME") or os.fspath(Path.home())
    return Path(environment.get(variable) or f"{home}/{below}")


def _assignments(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Names and values, those that win last: the user's files after the host's."""
    yield from _file(_directory(environment) / "nix.conf", 0, needed=False)
    named = environment.get("NIX_USER_CONF_FILES")
    if named is None:
        directories = [
            _home(environment, "XDG_CONFIG_HOME", ".config"),
            *(Path(one) for one in environment.get("XDG_CONFIG_DIRS", "").split(":") if one),
        ]
        files = [one / "nix/nix.conf" for one in directories]
    else:
        files = [Path(one) for one in named.split(":") if one]
    for path in reversed(files):
        yield from _file(path, 0, needed=False)
    yield from _text(environment.get("NIX_CONFIG", ""), Path("NIX_CONFIG"), 0)


def _file(path: Path, depth: int, *, needed: bool) -> Iterator[tuple[str, str]]:
    try:
        text = path.read_text(errors="surrogateescape")
    except OSError as error:
        if needed:
            raise FetchError(
                f"cannot read {path}, which nix.conf includes: {error.strerror}",
                hint="`!include` is for files that may be missing",
            ) from error
        return
    yield from _text(text, path, depth)


def _text(text: str, path: Path, depth: int) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if words[0] in ("include", "!include") and len(words) == 2:
            if depth == _MOST_INCLUDED:
                raise FetchError(f"cannot read {path}: files include each other without end")
            included = path.parent / words[1]
            yield from _file(included, depth + 1, needed=words[0] == "include")
        elif len(words) > 1 and words[1] == "=":
            yield words[0], " ".join(words[2:])
        else:
            raise FetchError(
                f"cannot read {path}:{number}: `{' '.join(words)[:80]}` is no setting",
                hint="a line of nix.conf is `NAME = VALUE` or `include FILE`",
            )


def _stores(values: Mapping[str, str], environment: Mapping[str, str]) -> Iterator[Path]:
    """The stores that Nix would use itself and that are there, nix3-help-stores."""
    said = environment.get("NIX_REMOTE") or values.get("store") or "auto"
    address, _, query = said.partition("?")
    root = address if address.startswith("/") else parse_qs(query).get("root", [""])[0]
    found = [Path(root)] if root else [Path("/")]
    if address == "auto":
        # Where Nix keeps its store when /nix cannot be made.
        found.append(_home(environment, "XDG_DATA_HOME", ".local/share") / "nix/root")
    yield from (one / "nix/store" for one in found if (one / "nix/store").is_dir())
