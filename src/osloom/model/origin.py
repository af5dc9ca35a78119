"""What packages' scripts generate from the files of one package, and from which.

Such a file changes when its origin does, not with the rest of what was configured: it has its
origin's time, and is in its origin's layer.
"""

import re

_PROGRAMS = {
    "etc/ssl/certs/ca-certificates.crt": "usr/sbin/update-ca-certificates",
    "etc/udev/hwdb.bin": "usr/bin/systemd-hwdb",
    "usr/lib/udev/hwdb.bin": "usr/bin/systemd-hwdb",
    "var/lib/systemd/catalog/database": "usr/bin/journalctl",
}
"""The program that makes the file."""
_COMPILED = re.compile(r"(.+/)__pycache__/([^/.]+)\.[^/]+\.pyc")
"""PEP 3147."""


def origin(path: str) -> str | None:
    """The path that `path` is generated from, if it was generated and from one package alone."""
    compiled = _COMPILED.fullmatch(path)
    return f"{compiled[1]}{compiled[2]}.py" if compiled else _PROGRAMS.get(path)


def owner(path: str) -> str | None:
    """The package that a file of dpkg's database is about, without its architecture."""
    name = path.removeprefix("var/lib/dpkg/info/")
    if name == path or "." not in name:
        return None
    return name.rpartition(".")[0].partition(":")[0]
