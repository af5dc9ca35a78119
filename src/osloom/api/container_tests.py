"""The tests of a container: each in one of its own, without a way out to any network."""

import time
from collections.abc import Sequence

import msgspec

from osloom.api.cases import judge, make_case, name_of, note
from osloom.api.container import built_container, note_user
from osloom.api.requests import architecture_of, host_architecture
from osloom.api.session import Session
from osloom.base.errors import Error
from osloom.model.definition import Image, Test
from osloom.run import container
from osloom.run.container import Container, Wishes
from osloom.run.file_check import file_problem
from osloom.run.http_check import HttpCheck
from osloom.run.report import Case, Verdict

_OUTPUT = "oci"


def test_container(session: Session, name: str, image: Image, wanted: Sequence[Test]) -> list[Case]:
    """Every test of `wanted`, with what it said."""
    architecture = architecture_of(image)
    if architecture != host_architecture():
        said = (f"this host cannot run {architecture}", "")
        return [make_case(name, _OUTPUT, "run", "skipped", 0, said)]
    if not wanted:
        return []
    made = built_container(session, name, image)
    note_user(session, made.settings.user)
    cases = []
    for one in wanted:
        note(session, f"test {name}: {name_of(one)}")
        start = time.monotonic()
        try:
            message, output = _outcome(session, made, one)
        except Error as error:
            message, output = error.message, error.detail or error.hint or ""
        verdict: Verdict = "failed" if message else "passed"
        seconds = time.monotonic() - start
        cases.append(make_case(name, _OUTPUT, name_of(one), verdict, seconds, (message, output)))
    return cases


def _outcome(session: Session, made: Container, one: Test) -> tuple[str, str]:
    """Why the test failed, or empty text; and what was said."""
    store = session.store
    if one.file is not None:
        return file_problem(one, store.load_tree(made.tree), store.blobs.read), ""
    if one.run is not None:
        wishes = Wishes(words=container.shell_words(store, made, one.run))
    else:
        words = made.settings.program(one.arguments or ())
        wishes = Wishes(words=words, user=container.user_of(store, made))
    wishes = msgspec.structs.replace(
        wishes, read_only=one.read_only, capabilities=not one.read_only
    )
    with store.working_directory() as work:
        if one.http is not None:
            check = HttpCheck(
                url=one.http, status=one.status or 200, contains=one.contains, timeout=one.timeout
            )
            return container.run_http_check(store, made, wishes, work, check)
        answer = container.run_command(store, made, wishes, work, timeout=one.timeout)
        return judge(one, answer), answer.output
