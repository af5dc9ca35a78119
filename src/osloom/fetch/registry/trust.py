"""Where the authorities of a registry are.

Beside those of the system there are private ones, where docker and podman look for them:
containers-certs.d(5), https://docs.docker.com/engine/security/certificates/
"""

import os
from collections.abc import Mapping
from pathlib import Path

ENVIRONMENT = "OSLOOM_REGISTRY_CA"


def certificate_directories(host: str, environment: Mapping[str, str]) -> list[Path]:
    """Where certificates for one registry may be; `host` has its port."""
    home = Path(environment.get("HOME") or Path.home())
    return [
        home / ".config/containers/certs.d" / host,
        Path("/etc/containers/certs.d", host),
        Path("/etc/docker/certs.d", host),
    ]


def given_authority(ca: Path | None, environment: Mapping[str, str]) -> Path | None:
    """`--ca`, or what the environment says instead."""
    named = environment.get(ENVIRONMENT)
    if ca is None and not named:
        return None
    return Path(os.fspath(ca or named or ""))
