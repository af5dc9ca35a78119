"""Nix as a program: this host's, or that of a locked image, which has its store below osloom's.

The image's Nix runs in bubblewrap with `STORE/nix/nix` as its /nix, for root and for users alike. It
sees what it evaluates and the network, and nothing else of the host: no private key either, where
one lies in what it evaluates. Its builders are not in sandboxes of their own, which a user namespace
with one id has no room for: bubblewrap is theirs.
"""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from osloom.base.command import run
from osloom.base.errors import CommandError
from osloom.base.files import write_atomic
from osloom.engine.tools import start_from
from osloom.sources.nix.settings import Settings
from osloom.store.store import Store

_FEATURES = ("--extra-experimental-features", "nix-command flakes")
_OF_THE_HOST = ("resolv.conf", "hosts", "nsswitch.conf")
"""Of /etc, for the network."""
_PASSED = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "NIX_SSL_CERT_FILE")
_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
_HOME = "/nix/home"
_TAIL = 4000


class Nix(Protocol):
    """What runs Nix."""

    def __call__(
        self, words: Sequence[str], *, visible: Sequence[Path] = (), hidden: Sequence[Path] = ()
    ) -> bytes:
        """What `nix WORDS…` says on its standard output; `visible` are paths that it has to read.

        `hidden` are files that its builders must not read, symbolic links followed. Raises
        CommandError, whose message is what Nix said last.
        """


class HostNix(msgspec.Struct, frozen=True):
    """The Nix of this host, with its settings: they say what its builders may read."""

    program: str

    def __call__(
        self, words: Sequence[str], *, visible: Sequence[Path] = (), hidden: Sequence[Path] = ()
    ) -> bytes:
        del visible, hidden
        return _said([self.program, *_FEATURES, *words], os.environ)


def find_host_nix() -> HostNix | None:
    found = shutil.which("nix")
    return HostNix(found) if found else None


class OwnNix(msgspec.Struct, frozen=True, kw_only=True):
    """The Nix of the unpacked image `root`, with what it builds below `state`."""

    root: Path
    state: Path
    settings: Settings
    environment: Mapping[str, str] = msgspec.field(default_factory=lambda: os.environ)

    def __call__(
        self, words: Sequence[str], *, visible: Sequence[Path] = (), hidden: Sequence[Path] = ()
    ) -> bytes:
        return _said([*self._argv(visible, hidden), "nix", *_FEATURES, *words], {})

    def _argv(self, visible: Sequence[Path], hidden: Sequence[Path]) -> list[str]:
        self._make()
        words = [*start_from(self.root, "usr/bin/bwrap"), "--unshare-all", "--share-net"]
        words += ["--die-with-parent", "--uid", "0", "--gid", "0", "--clearenv"]
        words += ["--ro-bind", os.fspath(self.root / "usr"), "/usr"]
        for name in ("bin", "lib", "lib64", "sbin"):
            words += ["--symlink", f"usr/{name}", f"/{name}"]
        words += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs", "/etc"]
        for name in ("passwd", "group"):
            words += ["--ro-bind", os.fspath(self.state / name), f"/etc/{name}"]
        for name in _OF_THE_HOST:
            words += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
        certificates = self.settings.certificates or os.fspath(self.state / "certificates")
        words += ["--ro-bind", certificates, _BUNDLE]
        for path in sorted(set(visible)):
            words += ["--ro-bind", os.fspath(path), os.fspath(path)]
        for path in sorted(set(_seen(hidden, visible))):
            words += ["--ro-bind", os.fspath(self.state / "empty"), os.fspath(path)]
        words += ["--bind", os.fspath(self.state / "nix"), "/nix"]
        for name, value in self._given().items():
            words += ["--setenv", name, value]
        return [*words, "--chdir", _HOME, "--"]

    def _given(self) -> dict[str, str]:
        given = {"PATH": "/usr/bin", "HOME": _HOME, "USER": "root", "LC_ALL": "C.UTF-8"}
        for name in _PASSED:
            for one in (name, name.upper()):
                if value := self.environment.get(one):
                    given[one] = value
        given |= {"NIX_SSL_CERT_FILE": _BUNDLE, "NIX_CONFIG": self._config()}
        # What osloom evaluates belongs to whoever runs it, under whatever number.
        given |= {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory"}
        return {**given, "GIT_CONFIG_VALUE_0": "*"}

    def _config(self) -> str:
        lines = {
            "sandbox": "false",
            "build-users-group": "",
            "substituters": " ".join(self.settings.substituters),
            "trusted-public-keys": " ".join(self.settings.keys),
        }
        return "".join(f"{name} = {value}\n" for name, value in lines.items())

    def _make(self) -> None:
        (self.state / "nix/home").mkdir(parents=True, exist_ok=True)
        # When it was last used is what pruning goes by.
        os.utime(self.state)
        files = {
            "passwd": lambda: f"root:x:0:0:root:{_HOME}:/bin/sh\n",
            "group": lambda: "root:x:0:\n",
            "empty": lambda: "",
            "certificates": self._certificates,
        }
        for name, text in files.items():
            if not (self.state / name).exists():
                # Several evaluate at once.
                write_atomic(self.state / name, text().encode())

    def _certificates(self) -> str:
        found = sorted((self.root / "usr/share/ca-certificates").rglob("*.crt"))
        return "".join(path.read_text() for path in found)


def own_nix(root: Path, store: Store, settings: Settings) -> OwnNix:
    """The Nix of the unpacked image `root`; `sources.nix.fetch.OWN` is where its paths are."""
    return OwnNix(root=root, state=store.nix, settings=settings)


def _seen(hidden: Sequence[Path], visible: Sequence[Path]) -> Iterator[Path]:
    """Where in a sandbox with the paths `visible` the files `hidden` would be."""
    for path in visible:
        real = path.resolve()
        yield from (path / one.relative_to(real) for one in hidden if one.is_relative_to(real))


def _said(argv: Sequence[str], environment: Mapping[str, str]) -> bytes:
    done = run(argv, environment=environment, check=False)
    if done.status == 0:
        return done.stdout
    said = done.stderr.decode(errors="replace").strip()
    raise CommandError(_cause(said) or f"it exited with status {done.status}", detail=said[-_TAIL:])


def _cause(said: str) -> str:
    """The last line that Nix calls an error, without the word."""
    lines = [line.strip() for line in said.splitlines()]
    errors = [line.removeprefix("error:").strip() for line in lines if line.startswith("error:")]
    return next((line for line in reversed(errors) if line), "")
