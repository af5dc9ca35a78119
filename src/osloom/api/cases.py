"""Cases of a test run: one command in a running image, one verdict."""

import time
from collections.abc import Callable
from pathlib import Path

from osloom.api.build import Session
from osloom.base.errors import Error
from osloom.base.progress import Event
from osloom.model.definition import Test
from osloom.run import agent
from osloom.run.qemu import Running
from osloom.run.report import Case, Verdict


def name_of(one: Test) -> str:
    return one.name or one.run.strip().splitlines()[0]


def run_test(name: str, output: str, one: Test, run: Callable[..., agent.Answer]) -> Case:
    start = time.monotonic()
    try:
        answer = run(one.run, timeout=one.timeout)
    except Error as error:
        seconds = time.monotonic() - start
        return make_case(
            name, output, name_of(one), "failed", seconds, (error.message, error.detail)
        )
    seconds = time.monotonic() - start
    if answer.status == 0:
        return make_case(name, output, name_of(one), "passed", seconds, ("", answer.output))
    message = (
        f"no end after {one.timeout} seconds"
        if answer.status == 124
        else f"exit status {answer.status}"
    )
    return make_case(name, output, name_of(one), "failed", seconds, (message, answer.output))


def make_case(
    image: str, output: str, name: str, verdict: Verdict, seconds: float, said: tuple[str, str]
) -> Case:
    return Case(
        image=image,
        output=output,
        name=name,
        verdict=verdict,
        seconds=seconds,
        message=said[0],
        detail=said[1],
    )


def keep_console(running: Running, name: str, logs: Path) -> Path:
    logs.mkdir(parents=True, exist_ok=True)
    path = logs / f"{name}.console.log"
    path.write_text(running.console(), errors="replace")
    return path


def note(session: Session, text: str) -> None:
    session.report(Event(kind="note", id=text, title=text))
