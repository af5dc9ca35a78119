"""A root directory with a Debian system in it that osloom was never on, and commands in it.

Of the host it gets the way to the network: name server, proxies, certificates, the mirror.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from osloom.model.providers import Debian
from osloom.sources.debian.mirrors import DEBIAN, SECURITY, base_address
from support.cli import SOURCES, Done

PROJECT = SOURCES.parent
INSTALLED = "/osloom"
"""Where osloom's own sources are in the root."""
_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
_NETWORK = ("http_proxy", "https_proxy", "no_proxy", "PIP_INDEX_URL", "PIP_DEFAULT_TIMEOUT")


@dataclass(frozen=True)
class Account:
    """A line of the root's /etc/passwd."""

    uid: int
    home: str


@dataclass(frozen=True)
class Bare:
    """See the module."""

    root: Path

    def path(self, inside: str) -> Path:
        return self.root / inside.removeprefix("/")

    @contextlib.contextmanager
    def project(self, account: Account, *files: Path) -> Iterator[str]:
        """A project directory of the account's with copies of `files`.

        It and the account's store are gone after the block: they are large.
        """
        project = f"{account.home}/project"
        place = self.path(project)
        place.mkdir()
        os.chown(place, account.uid, account.uid)
        for file in files:
            os.chown(shutil.copy(file, place), account.uid, account.uid)
        try:
            yield project
        finally:
            shutil.rmtree(place)
            with contextlib.suppress(FileNotFoundError):  # a build can fail before there is one
                shutil.rmtree(self.path(f"{account.home}/.cache/osloom"))

    def __call__(self, account: Account, directory: str, *command: str) -> Done:
        words = [os.fspath(self.root), str(account.uid), directory, *command]
        done = subprocess.run(
            [sys.executable, "-m", "support.inside", *words],
            env=_environment(account) | {"PYTHONPATH": f"{SOURCES}:{PROJECT / 'tests'}"},
            capture_output=True,
            text=True,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)


def unpack(archive: Path, root: Path) -> Bare:
    """Fill `root` from a tar output, and bring osloom's sources and the network into it."""
    root.chmod(0o755)
    with tarfile.open(archive) as tar:
        tar.extractall(root, numeric_owner=True, filter="fully_trusted")
    bare = Bare(root)
    shutil.copy("/etc/resolv.conf", bare.path("/etc/resolv.conf"))
    if certificates := os.environ.get("SSL_CERT_FILE"):
        bare.path(_CERTIFICATES).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(certificates, bare.path(_CERTIFICATES))
    _copy_sources(bare.path(INSTALLED))
    return bare


def _copy_sources(place: Path) -> None:
    place.mkdir()
    for name in ("src", "scripts"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(PROJECT / name, place / name, ignore=ignored)
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(PROJECT / name, place / name)


def _environment(account: Account) -> dict[str, str]:
    """What login(1) would set, and the way to the network."""
    network = {name: os.environ[name] for name in os.environ if name.lower() in _NETWORK}
    if "SSL_CERT_FILE" in os.environ:
        network |= {"SSL_CERT_FILE": _CERTIFICATES, "PIP_CERT": _CERTIFICATES}
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": account.home,
        "LC_ALL": "C.UTF-8",
        "OSLOOM_DEBIAN_MIRROR": base_address(DEBIAN, Debian()),
        "OSLOOM_DEBIAN_SECURITY_MIRROR": base_address(SECURITY, Debian()),
        **network,
    }
