"""Where a step runs, and what is left of it afterwards."""

import fcntl
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from osloom.base.errors import BuildError
from osloom.base.progress import silent
from osloom.engine.build import Builder
from osloom.engine.executor import LocalExecutor
from osloom.engine.step import Output, Step
from osloom.store.store import Store
from support.actions import meet, where


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "store")
    yield opened
    opened.close()


@pytest.fixture
def executor(store: Store) -> Iterator[LocalExecutor]:
    made = LocalExecutor(store, slots=2)
    yield made
    made.stop()


def place(store: Store, executor: LocalExecutor, name: str, *, light: bool) -> int:
    """The number of the process that a step ran in."""
    one = Step(action=where, title=name, parameters={"light": light, "name": name})
    (digest,) = Builder(store, executor, silent).make([one.output("file")])
    return int(store.blobs.read(digest))


def test_a_light_step_runs_here(store: Store, executor: LocalExecutor) -> None:
    assert place(store, executor, "first", light=True) == os.getpid()
    assert place(store, executor, "heavy", light=False) != os.getpid()
    assert place(store, executor, "second", light=True) == os.getpid()


def test_only_processes_of_their_own_are_told_of_another_clock(
    store: Store, executor: LocalExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OSLOOM_CLOCK", "400")
    assert place(store, executor, "light", light=True) != os.getpid()


def test_of_two_light_steps_one_runs_where_a_process_is_ready(
    store: Store, executor: LocalExecutor, tmp_path: Path
) -> None:
    there = place(store, executor, "heavy", light=False)
    (tmp_path / "meeting").mkdir()
    steps = [
        Step(action=meet, title=name, parameters={"name": name, "place": f"{tmp_path}/meeting"})
        for name in ("one", "other")
    ]
    digests = Builder(store, executor, silent).make([step.output("file") for step in steps])
    assert sorted(int(store.blobs.read(digest)) for digest in digests) == sorted(
        [os.getpid(), there]
    )


def test_where_something_new_comes_in_processes_are_started_at_once(
    store: Store, executor: LocalExecutor
) -> None:
    def light(name: str, *, weight: int, **inputs: Output) -> Step:
        parameters = {"light": True, "name": name}
        return Step(action=where, title=name, weight=weight, parameters=parameters, inputs=inputs)

    def make(*steps: Step) -> int:
        """How many processes there are afterwards."""
        Builder(store, executor, silent).make([step.output("file") for step in steps])
        return len(executor._workers)

    small = light("small", weight=0)
    assert make(small) == 0
    assert make(light("changed", weight=1, part=small.output("file"))) == 0
    assert make(*(light(name, weight=1) for name in ("a", "b", "c"))) == executor.slots


def test_a_process_that_starts_while_all_is_stopped_is_ended(store: Store) -> None:
    def decoder() -> None:
        """What is asked for right before a process is started."""
        stopping.start()
        stopping.join(0.5)

    executor = LocalExecutor(store, slots=1, decoder=decoder)
    stopping = threading.Thread(target=executor.stop)
    with pytest.raises(BuildError):
        place(store, executor, "heavy", light=False)
    stopping.join()
    assert executor._workers == []


def test_a_process_that_runs_steps_does_not_keep_the_store_from_being_pruned(
    store: Store, executor: LocalExecutor
) -> None:
    place(store, executor, "heavy", light=False)
    store.release()
    with (store.root / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
