"""Images into podman and docker, through the sockets that they listen on.

Both know https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Image/operation/ImageLoad
"""

import contextlib
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from osloom.base.errors import Error, UsageError
from osloom.fetch.http import Http, TransportError
from osloom.fetch.said import printable
from osloom.fetch.trust import make_context

_URL = "http://engine/v1.41/images/load?quiet=1"
"""Over a socket the host's name is of no interest."""
_PATIENCE = 600.0
"""Seconds: it answers when everything is unpacked."""
_MOST = 1 << 20
"""Bytes of an answer."""

PODMAN = "podman"
DOCKER = "docker"


class _Line(msgspec.Struct, frozen=True):
    error: str = ""
    message: str = ""


def find_engine(wanted: str | None, environment: Mapping[str, str]) -> tuple[str, Path]:
    """`podman` or `docker`, and its socket; podman first when neither is wanted.

    Raises UsageError when it does not listen.
    """
    for engine in (wanted,) if wanted else (PODMAN, DOCKER):
        for path in sockets(engine, environment):
            if _is_socket(path):
                return engine, path
    hints = {
        PODMAN: "start its socket: `systemctl --user start podman.socket`",
        DOCKER: "start it: `systemctl start docker`",
        None: "start one (`systemctl --user start podman.socket`), "
        "or write a file: `--into docker-archive:FILE`",
    }
    raise UsageError(
        f"cannot load into {wanted or 'podman or docker'}: its socket is not there",
        hint=hints[wanted],
    )


def sockets(engine: str, environment: Mapping[str, str]) -> list[Path]:
    """Where an engine may listen, the user's own choice first. Raises UsageError."""
    if engine == PODMAN:
        runtime = environment.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
        usual = [Path(runtime, "podman/podman.sock"), Path("/run/podman/podman.sock")]
        name = "CONTAINER_HOST"
    else:
        usual = [Path("/var/run/docker.sock")]
        name = "DOCKER_HOST"
    given = environment.get(name)
    if not given:
        return usual
    address = urlsplit(given)
    if address.scheme != "unix" or not address.path:
        raise UsageError(
            f"cannot load over {name}={printable(given)}: osloom speaks to sockets of this machine",
            hint="push to a registry instead, or load an archive there: "
            "`--into docker-archive:FILE`",
        )
    return [Path(address.path)]


def load_archive(engine: str, socket: Path, archive: Iterator[bytes]) -> None:
    """Send a docker-archive. Raises Error with what the engine says."""
    headers = {"Content-Type": "application/x-tar"}
    try:
        with (
            Http(lambda: make_context([], None), unix=socket) as http,
            contextlib.closing(
                http.send("POST", _URL, headers=headers, content=archive, patience=_PATIENCE)
            ) as answer,
        ):
            body = bytearray()
            for chunk in answer.pieces():
                body += chunk[: _MOST - len(body)]
            status = answer.status
    except TransportError as error:
        raise Error(f"cannot load into {engine} at {socket}: {error}") from error
    # Its troubles come as lines, after it has said that all is well.
    problem = next((line.error or line.message for line in _lines(bytes(body)) if line.error), "")
    if status != 200 or problem:
        said = problem or next((line.message for line in _lines(bytes(body))), "")
        raise Error(
            f"cannot load into {engine}: it does not take the images, status {status}",
            detail="\n".join(printable(line) for line in said.splitlines()[:20]),
        )


def _lines(body: bytes) -> Iterator[_Line]:
    for line in body.splitlines():
        try:
            yield msgspec.json.decode(line, type=_Line)
        except msgspec.DecodeError:
            continue


def _is_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.stat().st_mode)
    except OSError:
        return False
