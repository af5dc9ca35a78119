"""How storage may be spoken to: who to be, whom to trust, how long to wait."""

import os
from pathlib import Path

import msgspec

from osloom.base.errors import FetchError

PATIENCE = 30.0


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """What of this machine's settings it takes to use storage elsewhere."""

    netrc: Path | None = None
    """A file with names and passwords for hosts, as curl and Nix read it."""
    certificates: Path | None = None
    """Authorities to trust beside the system's, in PEM."""
    patience: float = PATIENCE
    """Seconds that a server may be silent, or send next to nothing."""
    service: str = "server"
    """How messages call what is spoken to: `cache`."""

    def login(self, host: str) -> tuple[str, str] | None:
        """Name and password for a host, where there are some. Raises FetchError."""
        if self.netrc is None or not self.netrc.exists():
            return None
        import netrc

        try:
            found = netrc.netrc(os.fspath(self.netrc)).authenticators(host)
        except (OSError, netrc.NetrcParseError, UnicodeDecodeError) as error:
            cause = error.msg if isinstance(error, netrc.NetrcParseError) else str(error)
            raise FetchError(
                f"cannot read names and passwords in {self.netrc}: {cause}",
                hint="a line of it is `machine HOST login NAME password PASSWORD`",
            ) from error
        return (found[0], found[2]) if found else None
