"""The process that stands between osloom and a container: it makes the namespaces.

    python -m osloom.run.container_process WORK

WORK holds the request. Its own exit status is that of the container; when there could be none, or
when there is something to say of it, a response is left in WORK.

    this process    user and mount namespaces, the overlay; the caller's network
    ├─ pasta        connects the two networks
    └─ crun         first of an outer pid namespace, in the container's network namespace
       └─ init      first of the container's own
          └─ the image's program

When this process is gone, however it ends, so is the pid namespace and all that is in it.
"""

import ctypes
import json
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

import msgspec

from osloom.base.errors import BuildError
from osloom.base.foreground import PASSED_ON
from osloom.engine import identity, mounts
from osloom.engine.overlay import mount_root
from osloom.engine.tools import start_from
from osloom.run import network
from osloom.run.http_check import problem_of
from osloom.run.runtime import Request, Response, places
from osloom.store.store import Store

_CLONE_NEWPID = 0x20000000
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def _serve(request: Request) -> int:
    store = Store(Path(request.store), share=False)
    programs = store.checkout(request.programs)
    who = identity.find_identity()
    identity.enter(who)
    # Not before: what changes the process's ids takes it back, prctl(2).
    _end_with_parent()
    identity.unshare(identity.CLONE_NEWNS)
    mounts.make_private()
    place = places(request.work)
    place.bundle.mkdir()
    mounts.mount_tmpfs(place.bundle)
    root = mount_root(store, request.base, place.bundle, owners=who != "single")
    for directory in request.directories:
        _make_directory(root, directory)
    for name, text in request.files.items():
        (place.bundle / name).write_text(text)
    (place.bundle / "config.json").write_text(json.dumps(request.configuration))
    identity.unshare(_CLONE_NEWPID)
    # Two pipes: the container's network is there; it is connected.
    (there, there_end), (go, go_end) = os.pipe(), os.pipe()
    crun = os.fork()
    if crun == 0:
        _become_crun(request, programs, place.bundle, there_end, go)
    os.close(there_end)
    os.close(go)
    # crun passes them on; it is in the same process group.
    for number in PASSED_ON:
        signal.signal(number, signal.SIG_IGN)
    if not os.read(there, 1):
        return _wait(crun)
    if request.network == "own":
        network.connect(crun, programs, request.forwards, place.bundle)
    os.write(go_end, b"1")
    if request.http is not None:
        network.enter_network(crun)
        problem = problem_of(request.http, lambda: _ended(crun) is None)
        _respond(place.response, Response(failed=problem))
        os.kill(crun, signal.SIGKILL)
    return _wait(crun)


def _become_crun(request: Request, programs: Path, bundle: Path, there: int, go: int) -> NoReturn:
    _end_with_parent()
    identity.unshare(identity.CLONE_NEWNS)
    mounts.mount("proc", Path("/proc"), "proc")
    # crun looks at control groups although it is told to leave them alone, and gives up on some.
    mounts.mount_tmpfs(Path("/sys/fs/cgroup"))
    if request.network != "host":
        identity.unshare(network.CLONE_NEWNET)
        network.prepare()
    os.write(there, b"1")
    if not os.read(go, 1):
        os._exit(1)
    for number in (*PASSED_ON, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    words = [*start_from(programs, "usr/bin/crun"), "--cgroup-manager=disabled"]
    words += [f"--root={bundle / 'state'}", "run", f"--bundle={bundle}", "container"]
    os.execve(words[0], words, {"PATH": os.defpath})


def _make_directory(root: Path, path: str) -> None:
    try:
        (root / path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BuildError(
            f"cannot make the directory /{path} in the container: {error.strerror}",
            hint="check the volumes and the working directory of the image",
        ) from error


def _end_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _ended(process: int) -> os.waitid_result | None:
    """Whether the child ended; it stays to be waited for."""
    return os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT)


def _wait(crun: int) -> int:
    # Any child: the pid namespace ends only when all that were in it are waited for.
    while True:
        child, status = os.wait()
        if child == crun:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _respond(path: Path, response: Response) -> None:
    path.write_bytes(msgspec.json.encode(response))


def main() -> None:
    os.umask(0o022)
    # What ends it needs no traceback: whoever started it says what happened.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    work = sys.argv[1]
    place = places(work)
    request = msgspec.json.decode(place.request.read_bytes(), type=Request)
    try:
        status = _serve(request)
    except BuildError as error:
        _respond(place.response, Response(problem=error.message, hint=error.hint))
        status = 1
    # The children of a container that could not be made have not begun: they end with this one.
    os._exit(status)


if __name__ == "__main__":
    main()
