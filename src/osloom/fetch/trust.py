"""Whom to trust: the TLS of servers, and hosts that are this machine."""

import ipaddress
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from osloom.base.errors import FetchError

if TYPE_CHECKING:
    import ssl


def private_authorities(directories: Sequence[Path]) -> list[Path]:
    return [path for one in directories for path in sorted(one.glob("*.crt"))]


def make_context(directories: Sequence[Path], ca: Path | None) -> "ssl.SSLContext":
    """The authorities of the system, those of the directories and `ca`; and client certificates.

    Raises FetchError with the file that cannot be read.
    """
    import ssl

    context = ssl.create_default_context()
    paths = ssl.get_default_verify_paths()
    if not any(path and Path(path).exists() for path in (paths.cafile, paths.capath)):
        import certifi

        context.load_verify_locations(certifi.where())
    for path in [*private_authorities(directories), *([ca] if ca else [])]:
        try:
            context.load_verify_locations(path)
        except (OSError, ssl.SSLError) as error:
            raise FetchError(
                f"cannot read the certificates in {path}: {_reason(error)}",
                hint="it has to be a file of certificates in PEM",
            ) from error
    for certificate in (path for one in directories for path in sorted(one.glob("*.cert"))):
        try:
            context.load_cert_chain(certificate, certificate.with_suffix(".key"))
        except (OSError, ssl.SSLError) as error:
            raise FetchError(
                f"cannot use the client certificate {certificate}: {_reason(error)}",
                hint="its key has to be beside it, as `.key`",
            ) from error
    return context


def _reason(error: OSError) -> str:
    import ssl

    if isinstance(error, ssl.SSLError):
        return "it holds no certificate"
    return error.strerror or str(error)


def is_loopback(host: str) -> bool:
    """Whether a host, without its port, is this machine by its name alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
