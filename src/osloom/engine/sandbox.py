"""Run commands as root of an image, without being root: the sandbox.

The image's tree becomes the lower part of an overlay whose upper part is memory, in a user and a
mount namespace of its own; bubblewrap from the tools image then takes away network, devices,
processes and most capabilities. What the commands change is read from the upper part as a delta.

All of this happens in a process made for it (`python -m osloom.engine.sandbox`), because a process
that enters a user namespace cannot leave it.
"""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import msgspec

from osloom.base.command import run
from osloom.base.digest import Digest
from osloom.base.errors import BuildError
from osloom.base.foreground import run_in_foreground
from osloom.engine import clock, identity, mounts, writable
from osloom.engine.delta import Delta, Found, read_delta
from osloom.engine.foreground import TOOLS, Foreground, become, lay_host_files, starter
from osloom.engine.nosync import no_sync
from osloom.engine.terminal import no_typing
from osloom.engine.tools import start_from
from osloom.model.tree import Node, Tree
from osloom.store.roots import is_special
from osloom.store.store import Store

CAPABILITIES = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
]

SESSION = "/run/osloom"
"""Where the files of the request are inside the sandbox."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What to run over which tree."""

    base: Digest
    """The tree the commands see as `/`."""
    tools: Digest
    fakeroot: Digest
    """The tree of fakeroot, for users with a single id, and libfaketime of the image's suite."""
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
    (Path(request.work) / "request").write_bytes(msgspec.json.encode(request))
    return [sys.executable, "-m", "osloom.engine.sandbox", request.work]


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


def _serve(request: Request) -> Response:
    store = Store(Path(request.store))
    base = store.load_tree(request.base)
    who = identity.find_identity()
    if who == "single":
        return _serve_single(request, store, base)
    identity.enter(who)
    identity.unshare(identity.CLONE_NEWNS)
    mounts.make_private()
    scratch = Path(request.work) / "scratch"
    scratch.mkdir()
    mounts.mount_tmpfs(scratch)
    places = {name: scratch / name for name in ("upper", "work", "merged", "session")}
    for place in places.values():
        place.mkdir(mode=0o755)
    merged = places["merged"]
    lower = store.checkout(request.base)
    mounts.mount_overlay(merged, lower=lower, upper=places["upper"], work=places["work"])
    _lay_specials(base, merged)
    _write_session(request.files, places["session"])
    words = _bubblewrap(request, store)
    if request.foreground:
        _start(words, request, merged, request.foreground)
    words += _view(request, store, merged, places["session"])
    status, output = _run(words, request.command, request, scratch)
    if status != 0:
        return Response(status=status, output=output)
    delta = read_delta(places["upper"], base, store.blobs, epoch=request.epoch)
    return _response(store, delta, output)


def _serve_single(request: Request, store: Store, base: Tree) -> Response:
    """The same with one user id: a copy of the root, and fakeroot for ownership."""
    scratch = Path(request.work) / "scratch"
    places = {name: scratch / name for name in ("root", "session", "state")}
    for place in places.values():
        place.mkdir(parents=True, mode=0o755)
    root, state = places["root"], places["state"]
    before = writable.lay_down(base, root, store.blobs)
    (state / "in").write_text(writable.initial_state(base, root))
    _write_session({**request.files, "fakeroot": writable.SCRIPT}, places["session"])
    words = _bubblewrap(request, store)
    words += ["--unshare-user", "--uid", "0", "--gid", "0"]
    if request.foreground:
        # There is no other user to become.
        _start(words, request, root, None)
    words += _view(request, store, root, places["session"])
    words += ["--bind", os.fspath(state), writable.STATE]
    # Without a shell there is nothing that could change an owner.
    shell = [f"{SESSION}/fakeroot"] if base.resolve("bin/sh") in base else []
    status, output = _run(words, (*shell, *request.command), request, scratch)
    if status != 0:
        return Response(status=status, output=output)
    saved = state / "out"
    owners = writable.parse_state(saved.read_text() if saved.exists() else "")
    found = Found(store.blobs, request.epoch)
    delta = writable.read_changes(root, base, before, owners, found)
    return _response(store, delta, output)


def _run(
    words: list[str], command: Sequence[str], request: Request, scratch: Path
) -> tuple[int, str]:
    with (scratch / "output").open("w+b") as output, no_sync() as seccomp:
        completed = run(
            [*words, "--seccomp", str(seccomp), "--", *command],
            stdout=output,
            stderr=output,
            timeout=request.timeout,
            descriptors=[seccomp],
            check=False,
        )
        output.seek(0)
        return completed.status, output.read().decode(errors="replace")


def _response(store: Store, delta: Delta, output: str) -> Response:
    changed = store.add_tree(delta.changed)
    return Response(status=0, output=output, changed=changed, removed=delta.removed)


def _bubblewrap(request: Request, store: Store) -> list[str]:
    words = start_from(store.checkout(request.tools), "usr/bin/bwrap")
    words += ["--unshare-pid", "--unshare-ipc", "--unshare-uts"]
    words += [] if request.foreground else ["--unshare-net", "--new-session"]
    words += ["--hostname", "localhost", "--die-with-parent", "--clearenv"]
    words += ["--cap-drop", "ALL"]
    for capability in CAPABILITIES:
        words += ["--cap-add", f"CAP_{capability}"]
    return words


def _view(request: Request, store: Store, root: Path, session: Path) -> list[str]:
    """What the command sees: its root, kernel file systems, empty temporary places."""
    words = _root(root)
    for place in ("/run", "/tmp", "/var/tmp"):
        words += ["--tmpfs", place]
    words += ["--ro-bind", os.fspath(session), SESSION]
    preloaded = store.checkout(request.fakeroot)
    words += ["--ro-bind", os.fspath(preloaded), writable.MOUNT, *clock.mounts(preloaded)]
    fixed = {"LC_ALL": "C.UTF-8", "TZ": "UTC", "SOURCE_DATE_EPOCH": str(request.epoch)}
    fixed |= clock.environment(preloaded, writable.MOUNT)
    return [*words, *_settings(request, fixed)]


def _start(words: list[str], request: Request, root: Path, who: Foreground | None) -> NoReturn:
    """Become the command of a person: it sees the image as it is, and the host's network."""
    lay_host_files(root)
    tools = Store(Path(request.store)).checkout(request.tools)
    words += [*_root(root), "--ro-bind", os.fspath(tools), TOOLS, *_settings(request, {})]
    with no_typing() as seccomp:
        become([*words, "--seccomp", str(seccomp), "--", *starter(who), *request.command], seccomp)


def _root(root: Path) -> list[str]:
    return ["--bind", os.fspath(root), "/", "--proc", "/proc", "--dev", "/dev"]


def _settings(request: Request, fixed: Mapping[str, str]) -> list[str]:
    """Environment and directory."""
    environment = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        **fixed,
        **request.environment,
    }
    words = []
    for name, value in environment.items():
        words += ["--setenv", name, value]
    return [*words, "--chdir", request.directory]


def _lay_specials(base: Tree, root: Path) -> None:
    """Owners, modes and xattrs that hard links to blobs cannot have; they are copied up."""
    for path, node in base.items():
        if path and is_special(node):
            _lay(f"{root}/{path}", node)


def _lay(place: str, node: Node) -> None:
    match node.kind:
        case "file" | "dir":
            os.chown(place, node.uid, node.gid)
            os.chmod(place, node.mode)  # noqa: PTH101
            for name, value in node.xattrs:
                os.setxattr(place, name, value)
        case "symlink" | "hardlink":
            os.chown(place, node.uid, node.gid, follow_symlinks=False)
        case "fifo":
            os.mkfifo(place, node.mode)
            os.chown(place, node.uid, node.gid)
        case "char" | "block":
            # Not allowed in a user namespace, and nothing that runs here needs one.
            pass


def _write_session(files: Mapping[str, str], directory: Path) -> None:
    for name, text in files.items():
        path = directory / name
        path.write_text(text, errors="surrogateescape")
        path.chmod(0o755 if text.startswith("#!") else 0o644)


def main() -> None:
    os.umask(0o022)
    # What ends it needs no traceback: whoever started it says what happened.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    work = Path(sys.argv[1])
    request = msgspec.json.decode((work / "request").read_bytes(), type=Request)
    response: Response | None = None
    try:
        response = _serve(request)
    except BuildError as error:
        response = Response(status=-1, output="", problem=error.message, hint=error.hint)
    (work / "response").write_bytes(msgspec.json.encode(response))


if __name__ == "__main__":
    main()
