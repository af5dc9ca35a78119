"""Where Debian's archives are: said by the definition, the environment, or this host's apt.

Nothing here is written into a lock: a lock made with one mirror builds with any other.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from osloom.base.errors import FetchError
from osloom.model.providers import Debian
from osloom.sources.debian.deb822 import parse_stanza

DEBIAN = "debian"
SECURITY = "debian-security"

_VARIABLES = {DEBIAN: "OSLOOM_DEBIAN_MIRROR", SECURITY: "OSLOOM_DEBIAN_SECURITY_MIRROR"}
_APT = Path("/etc/apt")


def base_address(source: str, debian: Debian, *, apt: Path = _APT) -> str:
    """The address above `dists/` and `pool/`, without a slash at its end."""
    for repository in debian.repository:
        if repository.name == source:
            return repository.url.rstrip("/")
    given = debian.mirror if source == DEBIAN else debian.security_mirror
    found = given or os.environ.get(_VARIABLES[source]) or _of_host(source, apt)
    if not found and source == SECURITY:
        # Mirrors carry the two archives side by side.
        found = re.sub(r"/debian/?$", "/debian-security", base_address(DEBIAN, debian, apt=apt))
    if not found:
        raise FetchError(
            "cannot tell where Debian's packages are: this host has no apt sources for Debian",
            hint=f"set {_VARIABLES[source]}, or `mirror` in the table `debian` of the definition",
        )
    return found.rstrip("/")


def _of_host(source: str, apt: Path) -> str | None:
    """The first address of the host's apt sources whose path ends as the archive's does."""
    for address in host_addresses(apt):
        if address.rstrip("/").endswith(f"/{source}"):
            return address
    return None


def host_addresses(apt: Path) -> Iterator[str]:
    """Every http address in sources.list(5) files, in order."""
    for path in sorted((apt / "sources.list.d").glob("*.sources")):
        for stanza in _text(path).split("\n\n"):
            fields = {name.lower(): text for name, text in parse_stanza(stanza).items()}
            if fields.get("enabled", "yes") != "no" and "deb" in fields.get("types", "").split():
                yield from (word for word in fields.get("uris", "").split() if _is_http(word))
    for path in [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*.list"))]:
        for line in _text(path).splitlines():
            words = re.sub(r"\[[^]]*\]", " ", line).split()
            if len(words) > 2 and words[0] == "deb" and _is_http(words[1]):
                yield words[1]


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _is_http(address: str) -> bool:
    return address.startswith(("http://", "https://"))
