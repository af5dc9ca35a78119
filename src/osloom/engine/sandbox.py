"""Run commands as root of an image, without being root: the sandbox.

The image's tree becomes the lower part of an overlay whose upper part is memory, in a user and a
mount namespace of its own; bubblewrap from the tools image then takes away network, devices,
processes and most capabilities. What the commands change is read from the upper part as a delta.

All of this happens in a process made for it (`engine.sandbox_process`), because a process that
enters a user namespace cannot leave it.
"""

import os
import sys
from pathlib import Path

import msgspec

from osloom.base.command import run
from osloom.base.digest import Digest
from osloom.base.errors import BuildError
from osloom.base.foreground import run_in_foreground
from osloom.engine import clock
from osloom.engine.delta import Delta
from osloom.engine.foreground import Foreground
from osloom.model.tree import Tree
from osloom.store.store import Store

SESSION = "/run/osloom"
"""Where the files of the request are inside the sandbox."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What to run over which tree."""

    base: Digest
    """The tree the commands see as `/`."""
    tools: Digest
    fakeroot: Digest
    """The tree of fakeroot, for users with a single id, and libfaketime of the image's suite."""
    emulator: Digest | None = None
    """The tree of qemu-user, when the programs are of another architecture than this host's."""
    command: tuple[str, ...]
    files: dict[str, str] = {}
    """Text of the files in `SESSION`, by name; those that start with `#!` are executable."""
    environment: dict[str, str] = {}
    epoch: int
    directory: str = "/"
    """Where the command starts."""
    timeout: int | None = None
    """Seconds after which the command is ended, with status 124."""
    foreground: Foreground | None = None
    """Run it with the caller's streams and the host's network, and forget what it changes."""
    store: str
    """The store's directory."""
    work: str
    """An empty directory for mount points."""


class Response(msgspec.Struct, frozen=True, kw_only=True):
    status: int
    output: str
    """Both streams of the commands, in order."""
    changed: Digest | None = None
    """The delta's tree; None when the command failed."""
    removed: tuple[str, ...] = ()
    problem: str = ""
    """Why the sandbox itself could not be made."""
    hint: str | None = None


def run_in_sandbox(store: Store, request: Request) -> tuple[Response, Delta]:
    """Run the request's command as root over its tree; the response says how it ended."""
    run(_prepare(store, request), environment=_environment())
    response = _response_of(request)
    assert response is not None
    changed = store.load_tree(response.changed) if response.changed else Tree()
    return response, Delta(changed, response.removed)


def run_for_person(store: Store, request: Request) -> int:
    """Run the request's command in the foreground; gives its exit status."""
    status = run_in_foreground(_prepare(store, request), environment=_environment())
    _response_of(request)
    return status


def _prepare(store: Store, request: Request) -> list[str]:
    """The command of the process that serves the request."""
    # Before the namespace: what is made inside it would not belong to this user outside.
    store.checkout(request.base)
    store.checkout(request.tools)
    store.checkout(request.fakeroot)
    if request.emulator is not None:
        store.checkout(request.emulator)
    (Path(request.work) / "request").write_bytes(msgspec.json.encode(request))
    return [sys.executable, "-m", "osloom.engine.sandbox_process", request.work]


def _environment() -> dict[str, str]:
    return {
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        **clock.inherited(),
    }


def _response_of(request: Request) -> Response | None:
    """None when the process became the command. Raises BuildError if there was no sandbox."""
    path = Path(request.work) / "response"
    if not path.exists():
        return None
    response = msgspec.json.decode(path.read_bytes(), type=Response)
    if response.problem:
        raise BuildError(response.problem, hint=response.hint)
    return response
