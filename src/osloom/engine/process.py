"""The process of a worker: a copy of this one, fork(2), or a new one.

A copy has this one's modules, which take longer to load than a small build takes. It cannot be made
where another thread may hold a lock that nobody in the copy gives back, nor where Python has loaded
its `_lzma`, for then the tools' decoder comes too late (`engine.decoder`). And it must not be where a
private key was read: workers unpack what strangers made.
"""

import contextlib
import gc
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Set
from pathlib import Path
from typing import Any, NoReturn, Protocol

import msgspec

from osloom.base.secrets import has_secrets
from osloom.engine import clock
from osloom.engine.decoder import load_decoder

FindDecoder = Callable[[], Path | None]
_MOMENTS = 10
"""Milliseconds."""
_WORKER = threading.Event()
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ends(msgspec.Struct, frozen=True):
    """A worker's ends of its pipes."""

    requests: int
    answers: int
    alive: int
    """Nothing is ever written to it: its end is the end of the process that has the other one."""


class WorkerProcess:
    """One worker: lines to it, lines from it, and its end."""

    def __init__(self, root: Path, find_decoder: FindDecoder) -> None:
        asked, requests = os.pipe()
        answers, said = os.pipe()
        alive, self._alive = os.pipe()
        self._guard = threading.Lock()
        self._dead = False
        self._requests = os.fdopen(requests, "w")
        self.answers = os.fdopen(answers)
        ends = Ends(asked, said, alive)
        try:
            start = _copy if can_copy() else _start
            self._process = start(root, find_decoder, ends)
        finally:
            for end in msgspec.structs.astuple(ends):
                os.close(end)

    def write(self, line: str) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._requests.write(f"{line}\n")
            self._requests.flush()

    def wait(self) -> int:
        return self._process.wait()

    def kill(self) -> None:
        """End it, once: the thread that waits for its answer and the one that stops all may both."""
        with self._guard:
            if self._dead:
                return
            self._dead = True
        pid = self._process.pid
        with contextlib.suppress(ProcessLookupError):
            try:
                os.killpg(pid, signal.SIGKILL)
            except ProcessLookupError:
                # A copy that has no group yet has started nothing either. Of one that has ended
                # the number may be somebody else's.
                if self._process.returncode is None:
                    os.kill(pid, signal.SIGKILL)
        self.wait()
        os.close(self._alive)


class _Process(Protocol):
    pid: int
    returncode: int | Any
    """None until `wait` knows it."""

    def wait(self) -> int: ...


class _Copy:
    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._guard = threading.Lock()
        self.returncode: int | None = None

    def wait(self) -> int:
        with self._guard:
            if self.returncode is None:
                self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
            return self.returncode


def can_copy() -> bool:
    """Whether a copy of this process can be a worker."""
    free = "_lzma" not in sys.modules and clock.VARIABLE not in os.environ
    return free and not has_secrets() and threading.active_count() == 1 and _is_alone()


def _is_alone() -> bool:
    """Whether no library has a thread. One that was joined may take a moment until it is gone."""
    for _ in range(_MOMENTS):
        if len(list(Path("/proc/self/task").iterdir())) == 1:
            return True
        time.sleep(0.001)
    return False


def _copy(root: Path, find_decoder: FindDecoder, ends: Ends) -> _Process:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError):  # closed, full
            stream.flush()
    # Until the copy is a worker Ctrl-C is the other's alone.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        pid = os.fork()
        if pid == 0:
            _become_worker(root, find_decoder, ends, before)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return _Copy(pid)


def _become_worker(
    root: Path, find_decoder: FindDecoder, ends: Ends, signals: Set[int]
) -> NoReturn:
    status = 1
    try:
        os.setsid()
        for number in _ENDING:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, signals)
        _give_up_files({2, *msgspec.structs.astuple(ends)})
        # What is there stays: looking after it would only copy its pages.
        gc.freeze()
        serve(root, find_decoder(), ends)
        status = 0
    except BaseException:  # noqa: BLE001  (nothing of the process it is a copy of may go on)
        traceback.print_exc()
    finally:
        os._exit(status)


def _give_up_files(kept: Set[int]) -> None:
    """Whatever else is open is another process's: locks, connections, the pipes of other workers."""
    null = os.open(os.devnull, os.O_RDWR)
    kept = {null, *kept}
    for number in [int(place.name) for place in Path("/proc/self/fd").iterdir()]:
        # The numbers stay taken, for objects of Python still close them.
        if number not in kept:
            with contextlib.suppress(OSError):  # the directory that was listed
                os.fstat(number)
                os.dup2(null, number)


def _start(root: Path, find_decoder: FindDecoder, ends: Ends) -> _Process:
    numbers = msgspec.structs.astuple(ends)
    decoder = find_decoder()
    words = [sys.executable, "-m", "osloom.engine.process", os.fspath(root), *map(str, numbers)]
    return subprocess.Popen(
        [*words, *([os.fspath(decoder)] if decoder else [])],
        stdin=subprocess.DEVNULL,
        pass_fds=numbers,
        start_new_session=True,
    )


def is_worker() -> bool:
    """Whether this process is a worker: of its threads only the one that asks does anything."""
    return _WORKER.is_set()


def run_copied(function: Callable[[], None], environment: Mapping[str, str]) -> tuple[int, bytes]:
    """Call `function` in a copy of this process, a worker; gives its status and what it printed.

    The copy has `environment` and no open files. Its status is negative if a signal has ended it.
    """
    assert is_worker()
    said = os.memfd_create("said")
    try:
        pid = os.fork()
        if pid == 0:
            _be_copy(function, environment, said)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return status, os.pread(said, os.fstat(said).st_size, 0)
    finally:
        os.close(said)


def _be_copy(function: Callable[[], None], environment: Mapping[str, str], said: int) -> NoReturn:
    status = 1
    try:
        for stream in (1, 2):
            os.dup2(said, stream)
        _give_up_files({1, 2})
        os.environ.clear()
        os.environ.update(environment)
        function()
        status = 0
    except BaseException:  # noqa: BLE001  (nothing of the process it is a copy of may go on)
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()
        os._exit(status)


def serve(root: Path, decoder: Path | None, ends: Ends) -> None:
    """Be a worker until nobody asks any more."""
    # Before any module asks for lzma.
    if decoder is not None:
        load_decoder(decoder)
    from osloom.engine.worker import serve_requests

    _WORKER.set()
    # What an action or a library prints must not end up between the answers.
    os.dup2(2, 1)
    threading.Thread(target=_end_with_parent, args=(ends.alive,), daemon=True).start()
    serve_requests(root, ends.requests, ends.answers)


def _end_with_parent(alive: int) -> None:
    os.read(alive, 1)
    os.killpg(0, signal.SIGKILL)


def main() -> None:
    # Not this one, which is called `__main__`: others ask `is_worker`.
    from osloom.engine.process import serve

    clock.move()
    root, *numbers = sys.argv[1:5]
    decoder = Path(sys.argv[5]) if sys.argv[5:] else None
    serve(Path(root), decoder, Ends(*map(int, numbers)))


if __name__ == "__main__":
    main()
