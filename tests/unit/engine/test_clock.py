"""Another day's clock for what osloom starts."""

import time
from pathlib import Path

import pytest

from osloom.engine import clock

LIBRARY = "usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / LIBRARY).parent.mkdir(parents=True)
    (tmp_path / LIBRARY).write_bytes(b"FAKETIME_DISABLE_SHM\0")
    return tmp_path


def test_nothing_moves_the_clock_of_an_ordinary_build(tree: Path) -> None:
    assert clock.inherited() == {}
    assert clock.environment(tree) == {}
    assert clock.mounts(tree) == []


def test_programs_get_the_clock_by_the_library_where_they_see_it(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OSLOOM_CLOCK", "400")
    assert clock.inherited() == {"OSLOOM_CLOCK": "400"}
    assert clock.environment(tree)["LD_PRELOAD"] == f"/{LIBRARY}"
    assert clock.environment(tree, "/run/x")["LD_PRELOAD"] == f"/run/x/{LIBRARY}"
    assert clock.environment(tree)["FAKETIME"] == "+400d"
    assert clock.mounts(tree) == []


def test_an_older_library_finds_no_place_for_shared_memory(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OSLOOM_CLOCK", "400")
    (tree / LIBRARY).write_bytes(b"FAKETIME_SHARED\0")
    assert clock.mounts(tree) == ["--tmpfs", "/dev/shm", "--remount-ro", "/dev/shm"]


def test_python_code_sees_the_other_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1.5)
    monkeypatch.setattr(time, "time_ns", lambda: 1_500_000_000)
    monkeypatch.setenv("OSLOOM_CLOCK", "2")
    clock.move()
    assert time.time() == 172801.5
    assert time.time_ns() == 172801_500_000_000
