"""Cases of a test run: one command in a running image, one verdict."""

import time
from collections.abc import Callable
from pathlib import Path

from osloom.api.session import Session
from osloom.base.errors import Error
from osloom.base.progress import Event
from osloom.model.definition import Test
from osloom.run import agent
from osloom.run.qemu import Running
from osloom.run.report import Case, Verdict


def name_of(one: Test) -> str:
    """What the report calls it."""
    if one.name or one.run:
        return one.name or (one.run or "").strip().splitlines()[0]
    said = one.http or one.file or " ".join(["run", *(one.arguments or ())])
    absent = " is absent" if one.absent else ""
    return f"{said}{absent}{', read-only' if one.read_only else ''}"


def run_test(name: str, output: str, one: Test, run: Callable[..., agent.Answer]) -> Case:
    """A test that has `run`, by `run`, which takes shell text and a `timeout`."""
    start = time.monotonic()
    try:
        answer = run(one.run, timeout=one.timeout)
    except Error as error:
        seconds = time.monotonic() - start
        return make_case(
            name, output, name_of(one), "failed", seconds, (error.message, error.detail)
        )
    message = judge(one, answer)
    verdict: Verdict = "failed" if message else "passed"
    seconds = time.monotonic() - start
    return make_case(name, output, name_of(one), verdict, seconds, (message, answer.output))


def judge(one: Test, answer: agent.Answer) -> str:
    """Why what ran was not what the test wants; empty when it was."""
    if answer.status == 124 != one.status:
        return f"no end after {one.timeout} seconds"
    if answer.status != (one.status or 0):
        return f"exit status {answer.status}" + (f", not {one.status}" if one.status else "")
    if one.contains is not None and one.contains not in answer.output:
        return f"the output does not contain `{one.contains}`"
    return ""


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
