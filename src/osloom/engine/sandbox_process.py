"""The process of the sandbox: it makes the namespaces, and runs bubblewrap in them.

It is a copy of a worker, or a new one:

    python -m osloom.engine.sandbox_process WORK

WORK holds the request; the response is left there.
"""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from osloom.base.command import run
from osloom.base.digest import Digest
from osloom.base.errors import BuildError
from osloom.engine import clock, emulation, identity, mounts, writable
from osloom.engine.delta import Delta, Found, read_delta, read_stamps
from osloom.engine.nearest import Nearest, difference
from osloom.engine.nosync import no_sync
from osloom.engine.overlay import mount_root
from osloom.engine.sandbox import SESSION, Request, Response
from osloom.engine.tools import start_from
from osloom.model.tree import Tree
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


def _serve(
    request: Request, trees: Mapping[Digest, Tree] | None, nearest: Nearest | None
) -> Response:
    store = Store(Path(request.store), share=False, trees=trees)
    base = store.load_tree(request.base)
    who = identity.find_identity()
    if who != "single" or request.emulator is not None:
        identity.enter(who)
        identity.unshare(identity.CLONE_NEWNS)
        mounts.make_private()
    if request.emulator is not None:
        place = Path(request.work) / "emulation"
        place.mkdir()
        emulation.allow(store.checkout(request.emulator), place)
    if who == "single":
        return _serve_single(request, store, base)
    scratch = Path(request.work) / "scratch"
    scratch.mkdir()
    mounts.mount_tmpfs(scratch)
    if request.nearest is not None and nearest is None:
        nearest = Nearest(request.nearest, difference(store.load_tree(request.nearest), base))
    merged = mount_root(store, request.base, scratch, nearest=nearest)
    laid = read_stamps(scratch / "upper")
    session = scratch / "session"
    session.mkdir(mode=0o755)
    _write_session(request.files, session)
    words = [*_bubblewrap(request, store), *_view(request, store, merged, session)]
    status, output = _run(words, request.command, scratch)
    if status != 0:
        return Response(status=status, output=output)
    upper = scratch / "upper"
    delta = read_delta(upper, base, store.blobs, epoch=request.epoch, laid=laid)
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
    words += _view(request, store, root, places["session"])
    words += ["--bind", os.fspath(state), writable.STATE]
    # Without a shell there is nothing that could change an owner.
    shell = [f"{SESSION}/fakeroot"] if base.resolve("bin/sh") in base else []
    status, output = _run(words, (*shell, *request.command), scratch)
    if status != 0:
        return Response(status=status, output=output)
    saved = state / "out"
    owners = writable.parse_state(saved.read_text() if saved.exists() else "")
    found = Found(store.blobs, request.epoch)
    delta = writable.read_changes(root, base, before, owners, found)
    return _response(store, delta, output)


def _run(words: list[str], command: Sequence[str], scratch: Path) -> tuple[int, str]:
    with (scratch / "output").open("w+b") as output, no_sync() as seccomp:
        completed = run(
            [*words, "--seccomp", str(seccomp), "--", *command],
            stdout=output,
            stderr=output,
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
    words += ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-net", "--new-session"]
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
    return [*words, "--chdir", "/"]


def _write_session(files: Mapping[str, str], directory: Path) -> None:
    for name, text in files.items():
        path = directory / name
        path.write_text(text, errors="surrogateescape")
        path.chmod(0o755 if text.startswith("#!") else 0o644)


def serve(
    work: Path, trees: Mapping[Digest, Tree] | None = None, nearest: Nearest | None = None
) -> None:
    """Serve the request in `work`; this process has a namespace of its own then.

    `trees` and the root that the request calls `nearest` are what a copy of a worker knows.
    """
    os.umask(0o022)
    request = msgspec.json.decode((work / "request").read_bytes(), type=Request)
    response: Response | None = None
    try:
        response = _serve(request, trees, nearest)
    except BuildError as error:
        response = Response(status=-1, output="", problem=error.message, hint=error.hint)
    (work / "response").write_bytes(msgspec.json.encode(response))


def main() -> None:
    # What ends it needs no traceback: whoever started it says what happened.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    serve(Path(sys.argv[1]))


if __name__ == "__main__":
    main()
