"""Run containers by crun(1), in a process made for it (`run.container_process`)."""

import os
import sys
from pathlib import Path
from typing import Any, Literal

import msgspec

from osloom.base.command import run
from osloom.base.digest import Digest
from osloom.base.errors import BuildError
from osloom.base.foreground import run_in_foreground
from osloom.run.agent import Answer
from osloom.run.http_check import HttpCheck
from osloom.run.machine import Forward
from osloom.store.store import Store

Network = Literal["own", "host", "none"]
"""Its own, connected with the caller's; the caller's; its own with nothing but a loopback."""

HOST_FILES = ("hosts", "hostname", "resolv.conf")
"""Files of /etc that the runtime writes, not the image."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What to run over which tree."""

    base: Digest
    """The tree that is the container's root."""
    programs: Digest
    """The tree with crun, pasta and the init."""
    mounted: tuple[Digest, ...] = ()
    """Trees whose directories the configuration mounts."""
    configuration: dict[str, Any]
    """config.json of the bundle."""
    directories: tuple[str, ...] = ()
    """Paths in the root, without links, at which there has to be a directory."""
    files: dict[str, str] = {}
    """Texts of files beside config.json, by name."""
    network: Network = "none"
    forwards: tuple[Forward, ...] = ()
    http: HttpCheck | None = None
    """What to ask the program; the container ends with the answer."""
    store: str
    """The store's directory."""
    work: str
    """An empty directory for mount points."""


class Response(msgspec.Struct, frozen=True, kw_only=True):
    problem: str = ""
    """Why there could be no container."""
    hint: str | None = None
    failed: str | None = None
    """Why the HTTP check failed; empty when it did not, None when it was not made to its end."""


class Places(msgspec.Struct, frozen=True):
    """Where things are in the working directory of a container."""

    request: Path
    response: Path
    bundle: Path


def places(work: str | Path) -> Places:
    return Places(*(Path(work, name) for name in ("request", "response", "bundle")))


def run_for_person(store: Store, request: Request) -> int:
    """Run the container with the caller's streams; gives its exit status."""
    status = run_in_foreground(_prepare(store, request), environment=_environment())
    _response_of(request)
    return status


def run_to_end(store: Store, request: Request, *, timeout: int) -> tuple[Answer, Response]:
    """Run the container and keep what it says; 124 is the status of one that ran out of time."""
    with (Path(request.work) / "output").open("w+b") as output:
        completed = run(
            _prepare(store, request),
            environment=_environment(),
            stdout=output,
            stderr=output,
            timeout=timeout,
            check=False,
        )
        output.seek(0)
        said = output.read().decode(errors="replace")
    return Answer(status=completed.status, output=said), _response_of(request)


def _prepare(store: Store, request: Request) -> list[str]:
    # Before the namespace: what is made inside it would not belong to this user outside.
    for digest in (request.base, request.programs, *request.mounted):
        store.checkout(digest)
    places(request.work).request.write_bytes(msgspec.json.encode(request))
    return [sys.executable, "-m", "osloom.run.container_process", request.work]


def _environment() -> dict[str, str]:
    return {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def _response_of(request: Request) -> Response:
    path = places(request.work).response
    response = (
        msgspec.json.decode(path.read_bytes(), type=Response) if path.exists() else Response()
    )
    if response.problem:
        raise BuildError(response.problem, hint=response.hint)
    return response
