"""Steps are run once, in order, and not again for the same inputs."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from osloom.base.errors import BuildError
from osloom.base.progress import silent
from osloom.engine.build import Builder
from osloom.engine.executor import LocalExecutor
from osloom.engine.step import Step
from osloom.store.store import Store
from support.actions import fail, join, late


def step(log: Path, text: str, *parts: Step) -> Step:
    return Step(
        action=join,
        title=text,
        parameters={"text": text, "log": str(log)},
        inputs={"parts": tuple(part.output("file") for part in parts)},
    )


def make(store: Store, wanted: Step) -> bytes:
    executor = LocalExecutor(store, slots=2)
    try:
        (digest,) = Builder(store, executor, silent).make([wanted.output("file")])
    finally:
        executor.stop()
    return store.blobs.read(digest)


def test_inputs_come_before_what_takes_them_and_nothing_runs_twice(tmp_path: Path) -> None:
    store, log = Store(tmp_path / "store"), tmp_path / "log"
    one = step(log, "1")
    both = step(log, "4", step(log, "2", one), step(log, "3", one))
    assert make(store, both) == b"12134"
    assert make(store, both) == b"12134"
    assert sorted(log.read_text().split()) == ["1", "2", "3", "4"]
    assert log.read_text().split()[0] == "1"


def test_a_step_whose_inputs_came_out_the_same_is_not_run_again(tmp_path: Path) -> None:
    store, log = Store(tmp_path / "store"), tmp_path / "log"
    assert make(store, step(log, "2", step(log, "1"))) == b"12"
    assert make(store, step(log, "2", step(log, "1 "))) == b"12"
    assert log.read_text().splitlines() == ["1", "2", "1 "]


def test_whoever_asks_hears_of_what_is_new(tmp_path: Path) -> None:
    store, log = Store(tmp_path / "store"), tmp_path / "log"
    early = step(log, "1")
    wanted = [early.output("file"), step(log, "2", early).output("file")]
    heard: list[bytes] = []
    executor = LocalExecutor(store, slots=2)
    try:
        for _ in range(2):
            Builder(store, executor, silent).make(
                wanted, lambda digest: heard.append(store.blobs.read(digest))
            )
    finally:
        executor.stop()
    assert heard == [b"1", b"12"]


def test_a_failed_step_is_never_a_hit(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    failing = Step(action=fail, title="fail", parameters={"text": "said"})
    for _ in range(2):
        with pytest.raises(BuildError) as caught:
            make(store, failing)
        assert (caught.value.message, caught.value.hint, caught.value.detail) == (
            "cannot do it: never could",
            "try",
            "said",
        )


def test_a_hit_whose_blobs_are_gone_is_a_miss(tmp_path: Path) -> None:
    store, log = Store(tmp_path / "store"), tmp_path / "log"
    one = step(log, "1")
    make(store, one)
    result = store.results.find(one.key)
    assert result is not None
    store.blobs.path(result.outputs["file"]).unlink()
    assert make(store, one) == b"1"
    assert log.read_text().split() == ["1", "1"]


def expecting(log: Path, guess: Step) -> Step:
    """A step that takes a late `1`; meanwhile there is time for `guess`."""
    first = Step(
        action=late,
        title="late",
        parameters={"text": "1", "log": str(log)},
        inputs={"parts": ()},
    )
    return replace(step(log, "2", first), ahead=(guess.output("file"),))


def test_what_is_made_ahead_is_not_made_again(tmp_path: Path) -> None:
    store, log = Store(tmp_path / "store"), tmp_path / "log"
    guess = step(log, "2", step(log, "1"))
    assert make(store, expecting(log, guess)) == b"12"
    assert sorted(log.read_text().split()) == ["1", "1", "2"]


def test_what_was_guessed_wrong_is_made_anew(tmp_path: Path) -> None:
    store, log = Store(tmp_path / "store"), tmp_path / "log"
    guess = step(log, "2", step(log, "other"))
    assert make(store, expecting(log, guess)) == b"12"
    assert sorted(log.read_text().split()) == ["1", "2", "2", "other"]


def test_a_guess_that_fails_harms_nothing(tmp_path: Path) -> None:
    store, log = Store(tmp_path / "store"), tmp_path / "log"
    failing = Step(action=fail, title="fail", parameters={"text": "said"})
    assert make(store, expecting(log, failing)) == b"12"


def test_nothing_is_guessed_where_nothing_is_slow(tmp_path: Path) -> None:
    store, log = Store(tmp_path / "store"), tmp_path / "log"
    make(store, expecting(log, step(log, "guess")))
    other = replace(step(log, "3"), ahead=(step(log, "never").output("file"),))
    assert make(store, other) == b"3"
    assert "never" not in log.read_text().split()
