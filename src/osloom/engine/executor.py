"""Executors: what runs a step. This machine is one; a remote execution service would be another."""

import base64
import contextlib
import json
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import msgspec

from osloom.base.digest import Digest
from osloom.base.errors import BuildError, Error
from osloom.base.progress import Event, Reporter, silent
from osloom.engine import clock
from osloom.engine.step import Given, Job, Step
from osloom.engine.worker import answer
from osloom.store.store import Store


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What running a step gave."""

    outputs: Mapping[str, Digest]
    facts: Mapping[str, str | int] = {}


class Executor(Protocol):
    """Runs one step to its end; called from several threads at once."""

    slots: int
    """How many steps it takes at a time."""

    def run(self, step: Step, given: Mapping[str, Given], *, report: Reporter = silent) -> Made:
        """`report` hears what the step's action says while it runs."""

    def stop(self) -> None:
        """End everything at once; nothing half-done stays."""


class _Worker:
    def __init__(self, store: Store, decoder: Path | None) -> None:
        self._guard = threading.Lock()
        self._dead = False
        alive, self._alive = os.pipe()
        words = [sys.executable, "-m", "osloom.engine.worker", os.fspath(store.root), str(alive)]
        self._process = subprocess.Popen(
            [*words, *([os.fspath(decoder)] if decoder else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=(alive,),
            start_new_session=True,
            text=True,
        )
        os.close(alive)

    def ask(self, request: Mapping[str, Any], report: Reporter) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        while line := self._process.stdout.readline():
            answer: dict[str, Any] = json.loads(line)
            if "event" not in answer:
                return answer
            report(Event(**answer["event"]))
        status = self._process.wait()
        raise BuildError(
            f"cannot finish the step: its worker process ended with status {status}",
            hint="out of memory is the usual cause; the next run continues",
        )

    def kill(self) -> None:
        """End it, once: the thread that waits for its answer and the one that stops all may both."""
        with self._guard:
            if self._dead:
                return
            self._dead = True
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._alive)


class LocalExecutor:
    """Runs steps in processes of this machine, one for each slot, started when first needed.

    As long as there is none, light steps are run in this process: when one file has changed, what
    is left to do takes less time than a process takes to start.

    `decoder` finds what `engine.decoder` is about.
    """

    def __init__(
        self,
        store: Store,
        *,
        slots: int | None = None,
        decoder: Callable[[], Path | None] = lambda: None,
    ) -> None:
        self.slots = slots or len(os.sched_getaffinity(0))
        self._store = store
        self._decoder = decoder
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        self._workers: list[_Worker] = []
        self._stopped = False

    def run(self, step: Step, given: Mapping[str, Given], *, report: Reporter = silent) -> Made:
        request = {
            "action": step.action.name,
            "parameters": dict(step.parameters),
            "inputs": dict(given),
        }
        if self._is_quiet() and step.action.is_light(self._job(step, given)):
            return _made(answer(self._store, json.dumps(request), report))
        worker = self._take()
        try:
            said = worker.ask(request, report)
        except BaseException:
            worker.kill()
            with contextlib.suppress(ValueError):  # stopped meanwhile
                self._workers.remove(worker)
            raise
        self._idle.put(worker)
        return _made(said)

    def _job(self, step: Step, given: Mapping[str, Given]) -> Job:
        # To look at only: it has no directory to work in.
        return Job(store=self._store, parameters=step.parameters, inputs=given, work=Path())

    def _is_quiet(self) -> bool:
        """Whether a light step is done sooner here than a process is there for it.

        Not where the clock is another: only processes of their own are told.
        """
        return not (self._workers or self._stopped or clock.VARIABLE in os.environ)

    def stop(self) -> None:
        self._stopped = True
        for worker in list(self._workers):
            worker.kill()
        self._workers.clear()

    def _take(self) -> _Worker:
        if self._stopped:
            raise BuildError("cannot start a step: the build was stopped")
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            worker = _Worker(self._store, self._decoder())
            self._workers.append(worker)
            return worker


def _made(answer: Mapping[str, Any]) -> Made:
    if "error" in answer:
        # Written by a worker of our own, down a pipe that no one else holds.
        error = pickle.loads(base64.b64decode(answer["error"]))
        assert isinstance(error, Error)
        raise error
    if "bug" in answer:
        raise RuntimeError(f"a step failed in a way osloom does not know\n{answer['bug']}")
    return Made(outputs=answer["outputs"], facts=answer["facts"])
