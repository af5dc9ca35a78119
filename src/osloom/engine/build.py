"""Make what is wanted: find what is done, run the rest as its inputs become ready.

A step is looked up twice. First by its key, which is known without doing anything: when the last
step of a build was done before, none of the steps below it is even looked at. Then, when its
inputs are known, by their digests: a step whose inputs came out as before is not run again,
though what made them was.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

import msgspec

from osloom.base.digest import Digest
from osloom.base.errors import Error
from osloom.base.progress import Event, Reporter
from osloom.engine.executor import Executor
from osloom.engine.step import Given, Input, Output, Step
from osloom.store.results import Result
from osloom.store.store import Store


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one step."""

    result: Result
    reused: bool


class Builder:
    """See the module. One is good for any number of calls of `make`."""

    def __init__(self, store: Store, executor: Executor, report: Reporter) -> None:
        self._store = store
        self._executor = executor
        self._report = report
        self._outcomes: dict[Digest, Outcome] = {}
        self._made: set[Digest] = set()
        self._guard = threading.Lock()

    def make(
        self, wanted: Sequence[Output], made: Callable[[Digest], object] = lambda _: None
    ) -> list[Digest]:
        """The digests of `wanted`, in order; `made` hears of those that are new as they are made.

        Raises the first error after stopping the rest.
        """
        needed = self._pending([output.step for output in wanted])
        ahead = self._ahead(needed)
        urgency = _urgency(needed) | dict.fromkeys(ahead, -1)
        waiting = needed | ahead
        running: dict[Future[None], Step] = {}
        # What is made of something new is new throughout: there will be much to do.
        many = any(next(step.sources(), None) is None for step in needed.values())
        self._executor.prepare(
            [step for step in needed.values() if step.weight or not many], many=many
        )
        with ThreadPoolExecutor(max_workers=self._executor.slots) as pool:
            try:
                while needed.keys() - self._outcomes.keys():
                    if ahead and not self._has_slow(needed):
                        # What they were to be ahead of is there by now.
                        waiting = {key: one for key, one in waiting.items() if key not in ahead}
                    ready = [step for step in waiting.values() if self._is_ready(step)]
                    ready.sort(key=lambda step: (-urgency[step.key], -step.weight))
                    # No more than can run: what becomes ready meanwhile may be more urgent.
                    for step in ready[: self._executor.slots - len(running)]:
                        del waiting[step.key]
                        running[pool.submit(self._do, step)] = step
                    # A timeout, so that Ctrl-C is heard while waiting.
                    done, _ = wait(running, timeout=1, return_when=FIRST_COMPLETED)
                    for future in done:
                        step = running.pop(future)
                        if step.key in needed:
                            future.result()
                            self._tell(step, wanted, made)
            except BaseException:
                self._executor.stop()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return [self.digest(output) for output in wanted]

    def _tell(self, step: Step, wanted: Sequence[Output], made: Callable[[Digest], object]) -> None:
        if not self._outcomes[step.key].reused:
            for output in wanted:
                if output.step.key == step.key:
                    made(self.digest(output))

    def missing(self, wanted: Sequence[Output]) -> set[Digest]:
        """Blobs that have to be fetched before `make` can make `wanted`."""
        given = [
            one
            for step in self._pending([output.step for output in wanted]).values()
            for value in step.inputs.values()
            for one in (value if isinstance(value, tuple) else (value,))
        ]
        return {
            one for one in given if isinstance(one, str) and self._store.blobs.find(one) is None
        }

    def outcome(self, step: Step) -> Outcome:
        return self._outcomes[step.key]

    def digest(self, output: Output) -> Digest:
        return self._outcomes[output.step.key].result.outputs[output.name]

    def _pending(self, steps: Sequence[Step]) -> dict[Digest, Step]:
        """The steps that have to run for `steps`, inputs before those who take them."""
        pending: dict[Digest, Step] = {}
        todo = [(step, False) for step in reversed(steps)]
        seen: set[Digest] = set()
        while todo:
            step, expanded = todo.pop()
            if expanded:
                pending[step.key] = step
                continue
            if step.key in seen or step.key in self._outcomes:
                continue
            seen.add(step.key)
            result = self._store.results.find(step.key)
            if result is not None:
                self._keep(step, Outcome(result=result, reused=True))
                continue
            todo.append((step, True))
            todo.extend((source, False) for source in reversed(list(step.sources())))
        return pending

    def _ahead(self, needed: Mapping[Digest, Step]) -> dict[Digest, Step]:
        """The steps that are worth a try while steps of `needed` take their time."""
        if not self._has_slow(needed):
            return {}
        steps = [output.step for step in needed.values() for output in step.ahead]
        return {key: step for key, step in self._pending(steps).items() if key not in needed}

    def _has_slow(self, needed: Mapping[Digest, Step]) -> bool:
        """Whether a step of `needed` that runs programs is still to be done."""
        return any(
            step.action.needs != "data" and key not in self._outcomes
            for key, step in needed.items()
        )

    def _is_ready(self, step: Step) -> bool:
        return all(source.key in self._outcomes for source in step.sources())

    def _keep(self, step: Step, outcome: Outcome) -> None:
        self._store.results.touch(step.key)
        with self._guard:
            self._outcomes[step.key] = outcome

    def _do(self, step: Step) -> None:
        given = {name: self._resolve(value) for name, value in step.inputs.items()}
        key = step.resolved_key(given)
        with self._store.locked(key):
            result = self._store.results.find(key)
            reused = result is not None and key not in self._made
            if result is None:
                result = self._run(step, given, key)
                self._made.add(key)
        self._store.results.save(
            step.key, result.outputs, seconds=result.seconds, facts=result.facts
        )
        self._store.results.touch(key)
        self._keep(step, Outcome(result=result, reused=reused))

    def _run(self, step: Step, given: Mapping[str, Given], key: Digest) -> Result:
        event = Event(kind="started", id=step.key, title=step.title, group=step.group)
        self._report(event)
        start = time.monotonic()
        try:
            made = self._executor.run(step, given)
        except Error:
            self._report(Event(kind="failed", id=step.key, title=step.title, group=step.group))
            raise
        seconds = time.monotonic() - start
        result = self._store.results.save(key, made.outputs, seconds=seconds, facts=made.facts)
        self._report(
            Event(kind="finished", id=step.key, title=step.title, group=step.group, seconds=seconds)
        )
        return result

    def _resolve(self, given: Input) -> Given:
        if isinstance(given, tuple):
            return tuple(one if isinstance(one, str) else self.digest(one) for one in given)
        return given if isinstance(given, str) else self.digest(given)


def _urgency(pending: Mapping[Digest, Step]) -> dict[Digest, int]:
    """How many steps of `pending`, one after the other, wait for each of them."""
    found = dict.fromkeys(pending, 0)
    for key, step in reversed(list(pending.items())):
        for source in step.sources():
            if source.key in found:
                found[source.key] = max(found[source.key], found[key] + 1)
    return found
