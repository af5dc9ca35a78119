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

from osloom.base.command import FIXED, Completed, failure, run
from osloom.base.digest import Digest
from osloom.base.errors import BuildError
from osloom.engine import clock
from osloom.engine.delta import Delta
from osloom.engine.identity import find_identity
from osloom.engine.nearest import Nearest, find_nearest
from osloom.engine.process import is_worker, run_copied
from osloom.model.tree import Tree
from osloom.store.store import Store

SESSION = "/run/osloom"
"""Where the files of the request are inside the sandbox."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What to run over which tree."""

    base: Digest
    """The tree the commands see as `/`."""
    nearest: Digest | None = None
    """The tree of a root of which that of `base` is made, without one of its own."""
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
    """Run the request's command as root over its tree; the response says how it ended.

    Raises BuildError if there was no sandbox.
    """
    request, nearest = _prepare(store, request)
    if is_worker():
        # A new process loads for as long as a small run takes.
        from osloom.engine import sandbox_process

        status, said = run_copied(
            lambda: sandbox_process.serve(Path(request.work), store.trees, nearest),
            {**FIXED, **clock.inherited()},
        )
        if status != 0:
            raise failure(["sandbox"], Completed(stdout=b"", stderr=said, status=status))
    else:
        words = [sys.executable, "-m", "osloom.engine.sandbox_process", request.work]
        run(words, environment=_environment())
    response = msgspec.json.decode(Path(request.work, "response").read_bytes(), type=Response)
    if response.problem:
        raise BuildError(response.problem, hint=response.hint)
    changed = store.load_tree(response.changed) if response.changed else Tree()
    return response, Delta(changed, response.removed)


def _prepare(store: Store, request: Request) -> tuple[Request, Nearest | None]:
    """What is there when it is served, and the root that is made use of. Before the namespace: what is made inside it would not
    belong to this user outside."""
    nearest = None
    if find_identity() != "single":
        nearest = find_nearest(store, request.base)
        request = msgspec.structs.replace(request, nearest=nearest and nearest.digest)
        store.checkout(request.nearest or request.base)
    store.checkout(request.tools)
    store.checkout(request.fakeroot)
    if request.emulator is not None:
        store.checkout(request.emulator)
    (Path(request.work) / "request").write_bytes(msgspec.json.encode(request))
    return request, nearest


def _environment() -> dict[str, str]:
    return {
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        **clock.inherited(),
    }
