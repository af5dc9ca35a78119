"""Executors: what runs a step. This machine is one; a remote execution service would be another."""

import contextlib
import functools
import json
import os
import select
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

from osloom.base.digest import Digest
from osloom.base.errors import BuildError, Error
from osloom.base.progress import Event, Reporter, silent
from osloom.engine import clock
from osloom.engine.decoder import load_decoder
from osloom.engine.process import WorkerProcess, can_copy
from osloom.engine.step import NO_SIGNERS, Given, Job, Signers, Step
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

    def prepare(self, steps: Sequence[Step], *, many: bool) -> None:
        """Begin with what has to be there before `steps` are run, which `many` says will be."""

    def run(self, step: Step, given: Mapping[str, Given], *, report: Reporter = silent) -> Made:
        """`report` hears what the step's action says while it runs."""

    def decode_here(self) -> None:
        """Have this process decode as its workers do: it is about to do the same work."""

    def stop(self) -> None:
        """End everything at once; nothing half-done stays."""


class _Worker:
    def __init__(self, process: WorkerProcess, modules: Sequence[str]) -> None:
        self._process = process
        self._ready = False
        self.kill = process.kill
        self._write(modules)

    def is_ready(self) -> bool:
        """Whether it has started: what it is asked then it does at once."""
        if not self._ready:
            poll = select.poll()
            poll.register(self._process.answers, select.POLLIN)
            if poll.poll(0):
                self._read()
                self._ready = True
        return self._ready

    def ask(self, request: Mapping[str, Any], report: Reporter) -> dict[str, Any]:
        if not self._ready:
            self._read()
            self._ready = True
        self._write(request)
        while True:
            answer: dict[str, Any] = json.loads(self._read())
            if "event" not in answer:
                return answer
            report(Event(**answer["event"]))

    def _write(self, value: Mapping[str, Any] | Sequence[str]) -> None:
        self._process.write(json.dumps(value))

    def _read(self) -> str:
        line = self._process.answers.readline()
        if not line:
            status = self._process.wait()
            raise BuildError(
                f"cannot finish the step: its worker process ended with status {status}",
                hint="out of memory is the usual cause; the next run continues",
            )
        return line


class LocalExecutor:
    """Runs steps in processes of this machine, one for each slot, started when first needed.

    A light step runs in this process, one at a time; several as long as no other process is ready:
    when one file has changed, what is left to do takes less time than a process takes to start.

    What needs a key runs here alone, with `signers`. `decoder` finds what `engine.decoder` is about.
    """

    def __init__(
        self,
        store: Store,
        *,
        slots: int | None = None,
        decoder: Callable[[], Path | None] = lambda: None,
        signers: Signers = NO_SIGNERS,
    ) -> None:
        self.slots = slots or len(os.sched_getaffinity(0))
        self._store = store
        self._decoder = functools.cache(decoder)
        self._signers = signers
        self._guard = threading.Lock()
        self._here = threading.Lock()
        self._idle: list[_Worker] = []
        self._workers: list[_Worker] = []
        self._stopped = False

    def prepare(self, steps: Sequence[Step], *, many: bool) -> None:
        """Have a process for each of `steps`: new ones if they are `many`, with the modules of all
        of them loaded; or else copies of this one, which take a few milliseconds."""
        if not many and not can_copy():
            return
        modules = sorted({step.action.name.partition(":")[0] for step in steps} if many else ())
        with self._guard:
            for _ in range(len(self._workers), min(self.slots, len(steps))):
                self._idle.append(self._start(modules))

    def prepare_copies(self) -> None:
        """Have all processes now, as copies, if they can be: of this one as it is before it reads a
        key, for later they would be new ones."""
        if can_copy():
            with self._guard:
                while len(self._workers) < self.slots:
                    self._idle.append(self._start(()))

    def run(self, step: Step, given: Mapping[str, Given], *, report: Reporter = silent) -> Made:
        request = {
            "action": step.action.name,
            "parameters": dict(step.parameters),
            "inputs": dict(given),
        }
        if step.action.needs == "key":
            return _made(answer(self._store, json.dumps(request), report, self._signers))
        if not self._is_light(step, given):
            return self._run_there(self._take(), request, report)
        if self._here.acquire(blocking=False):
            try:
                return self._run_here(request, report)
            finally:
                self._here.release()
        worker = self._take_ready()
        if worker is None:
            return self._run_here(request, report)
        return self._run_there(worker, request, report)

    def decode_here(self) -> None:
        decoder = self._decoder()
        if decoder is not None:
            load_decoder(decoder)

    def stop(self) -> None:
        with self._guard:
            self._stopped = True
            workers = list(self._workers)
            self._workers.clear()
        for worker in workers:
            worker.kill()

    def _is_light(self, step: Step, given: Mapping[str, Given]) -> bool:
        # Of another clock only processes of their own are told.
        if self._stopped or clock.VARIABLE in os.environ:
            return False
        # To look at only: it has no directory to work in.
        job = Job(store=self._store, parameters=step.parameters, inputs=given, work=Path())
        return step.action.is_light(job)

    def _run_here(self, request: Mapping[str, Any], report: Reporter) -> Made:
        return _made(answer(self._store, json.dumps(request), report))

    def _run_there(self, worker: _Worker, request: Mapping[str, Any], report: Reporter) -> Made:
        try:
            said = worker.ask(request, report)
        except BaseException:
            worker.kill()
            with self._guard, contextlib.suppress(ValueError):  # stopped meanwhile
                self._workers.remove(worker)
            raise
        with self._guard:
            self._idle.append(worker)
        return _made(said)

    def _take_ready(self) -> _Worker | None:
        with self._guard:
            for worker in self._idle:
                if worker.is_ready():
                    self._idle.remove(worker)
                    return worker
        return None

    def _take(self) -> _Worker:
        worker = self._take_ready()
        if worker is not None:
            return worker
        with self._guard:
            if self._idle:
                return self._idle.pop()
            return self._start(())

    def _start(self, modules: Sequence[str]) -> _Worker:
        if self._stopped:
            raise BuildError("cannot start a step: the build was stopped")
        worker = _Worker(WorkerProcess(self._store.root, self._decoder), modules)
        self._workers.append(worker)
        return worker


def _made(answer: Mapping[str, Any]) -> Made:
    if "error" in answer:
        import base64
        import pickle

        # Written by a worker of our own, down a pipe that no one else holds.
        error = pickle.loads(base64.b64decode(answer["error"]))
        assert isinstance(error, Error)
        raise error
    if "bug" in answer:
        raise RuntimeError(f"a step failed in a way osloom does not know\n{answer['bug']}")
    return Made(outputs=answer["outputs"], facts=answer["facts"])
