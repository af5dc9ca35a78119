"""Credentials: where docker, podman, skopeo and buildah keep those of registries.

containers-auth.json(5), https://docs.docker.com/reference/cli/docker/login/ and
https://github.com/docker/docker-credential-helpers
"""

import base64
import binascii
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from osloom.base.command import run
from osloom.base.errors import CommandError, FetchError
from osloom.fetch.registry.reference import DOCKER_HUB

_HUB_KEY = "https://index.docker.io/v1/"
"""What docker calls its registry in its own files."""
_TOKEN_USER = "<token>"
_NOT_FOUND = "credentials not found"
_PATIENCE = 60
"""Seconds that a helper may take; it may ask a person."""


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """A name and a password, or an identity token for a token server."""

    username: str = ""
    password: str = ""
    identity_token: str = ""
    source: str
    """Where they are from, for messages."""

    def __repr__(self) -> str:
        """Without what is secret: for logs."""
        return f"Credentials(username={self.username!r}, source={self.source!r})"

    @property
    def basic(self) -> str:
        """The value of an `Authorization` header, RFC 7617."""
        pair = f"{self.username}:{self.password}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"


class _Entry(msgspec.Struct, frozen=True):
    auth: str = ""
    username: str = ""
    password: str = ""
    identitytoken: str = ""


class _File(msgspec.Struct, frozen=True, rename="camel"):
    auths: dict[str, _Entry] = {}
    cred_helpers: dict[str, str] = {}
    creds_store: str = ""


class _Answer(msgspec.Struct, frozen=True, rename="pascal"):
    username: str
    secret: str


def credential_files(environment: Mapping[str, str]) -> list[Path]:
    """Every file that may hold credentials; the first that knows a registry is taken."""
    given = environment.get("REGISTRY_AUTH_FILE")
    if given:
        return [Path(given)]
    home = Path(environment.get("HOME") or Path.home())
    files = []
    runtime = environment.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    files.append(Path(runtime, "containers/auth.json"))
    # What podman uses for root when there is no runtime directory.
    files.append(Path(f"/run/containers/{os.getuid()}/auth.json"))
    settings = environment.get("XDG_CONFIG_HOME")
    files.append((Path(settings) if settings else home / ".config") / "containers/auth.json")
    docker = environment.get("DOCKER_CONFIG")
    files.append((Path(docker) if docker else home / ".docker") / "config.json")
    return files


class Keyring:
    """The credentials for one registry. Files are read once, a helper is asked once.

    Whatever cannot be read, and a helper that fails, is a FetchError: to go on without what a
    user has set up would end in a riddle.
    """

    def __init__(self, registry: str, environment: Mapping[str, str]) -> None:
        self._registry = registry
        self._environment = environment
        self._guard = threading.Lock()
        self._files: list[tuple[Path, _File]] | None = None
        self._answers: dict[str, Credentials | None] = {}

    def find(self, repository: str) -> Credentials | None:
        """Those for a repository, if there are any."""
        with self._guard:
            if self._files is None:
                paths = credential_files(self._environment)
                self._files = [(path, file) for path in paths if (file := _load(path))]
            for path, file in self._files:
                found = self._find_in(path, file, repository)
                if found is not None:
                    return found
            return None

    def _find_in(self, path: Path, file: _File, repository: str) -> Credentials | None:
        helper = _helper_of(file, self._registry)
        if helper:
            return self._ask(helper, path)
        plain = {_normal(key): entry for key, entry in reversed(file.auths.items())}
        for key in _keys(self._registry, repository):
            # A login through `credsStore` leaves an empty entry behind.
            if key in plain and (found := _from_entry(plain[key], path, key)):
                return found
        return self._ask(file.creds_store, path) if file.creds_store else None

    def _ask(self, helper: str, path: Path) -> Credentials | None:
        if helper not in self._answers:
            self._answers[helper] = _ask(helper, self._registry, path, self._environment)
        return self._answers[helper]


def _helper_of(file: _File, registry: str) -> str:
    names = (registry, _HUB_KEY, "index.docker.io") if registry == DOCKER_HUB else (registry,)
    return next((file.cred_helpers[name] for name in names if name in file.cred_helpers), "")


def _keys(registry: str, repository: str) -> Iterator[str]:
    """The longest first: `host/team/app`, `host/team`, `host`."""
    parts = [registry, *repository.split("/")]
    for count in range(len(parts), 0, -1):
        yield "/".join(parts[:count])


def _normal(key: str) -> str:
    """docker writes keys as addresses of the old API: `https://host/v1/`."""
    if "://" in key:
        key = key.partition("://")[2].partition("/")[0]
    elif key.endswith(("/v1", "/v1/", "/v2", "/v2/")):
        key = key.partition("/")[0]
    host, slash, rest = key.rstrip("/").partition("/")
    return (DOCKER_HUB if host in ("index.docker.io", "registry-1.docker.io") else host) + (
        slash + rest
    )


def _from_entry(entry: _Entry, path: Path, key: str) -> Credentials | None:
    username, password = entry.username, entry.password
    if entry.auth:
        try:
            pair = base64.b64decode(entry.auth, validate=True).decode().rstrip("\0")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise FetchError(
                f"cannot read the credentials of `{key}` in {path}: `auth` is not base64",
                hint="log in again",
            ) from error
        username, _, password = pair.partition(":")
    if not (username or entry.identitytoken):
        return None
    return Credentials(
        username=username,
        password=password,
        identity_token=entry.identitytoken,
        source=os.fspath(path),
    )


def _load(path: Path) -> _File | None:
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise FetchError(f"cannot read the credentials in {path}: {error.strerror}") from error
    if not data.strip():
        return None
    try:
        return msgspec.json.decode(data, type=_File)
    except msgspec.DecodeError as error:
        # The error names a place, never a value.
        raise FetchError(
            f"cannot read the credentials in {path}: {error}", hint="log in again, or mend the file"
        ) from error


def _ask(
    helper: str, registry: str, path: Path, environment: Mapping[str, str]
) -> Credentials | None:
    """Run `docker-credential-HELPER get`; None when it has none for the registry."""
    program = f"docker-credential-{helper}"
    if "/" in helper:
        raise FetchError(f"cannot use the credential helper `{helper}` of {path}: it has a `/`")
    server = _HUB_KEY if registry == DOCKER_HUB else registry
    try:
        done = run(
            [_which(program, environment), "get"],
            environment=environment,
            stdin=[server.encode()],
            timeout=_PATIENCE,
            check=False,
        )
    except CommandError as error:
        raise FetchError(
            f"cannot ask for the credentials of {registry}: {error.message}",
            hint=f"install `{program}`, or log in again: {path} names it",
        ) from error
    if done.status != 0:
        # What it says may have a secret in it; only the usual answer is looked for.
        if _NOT_FOUND in (done.stdout + done.stderr).decode(errors="replace"):
            return None
        raise FetchError(
            f"cannot get the credentials of {registry}: `{program}` exited with "
            f"status {done.status}",
            hint=f"try `echo {server} | {program} get`",
        )
    try:
        answer = msgspec.json.decode(done.stdout, type=_Answer)
    except msgspec.DecodeError as error:
        raise FetchError(
            f"cannot get the credentials of {registry}: `{program}` does not answer as it should"
        ) from error
    if answer.username == _TOKEN_USER:
        return Credentials(identity_token=answer.secret, source=program)
    return Credentials(username=answer.username, password=answer.secret, source=program)


def _which(program: str, environment: Mapping[str, str]) -> str:
    import shutil

    found = shutil.which(program, path=environment.get("PATH", os.defpath))
    if found is None:
        raise CommandError(f"cannot find `{program}`")
    return found
