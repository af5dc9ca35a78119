"""What is held for a calendar event is what systemd takes for one."""

import os
import subprocess
from pathlib import Path

import pytest

from osloom.engine.tools import start_from
from support.calendar_events import REFUSED, TAKEN
from support.programs import Programs


@pytest.fixture(scope="module")
def systemd(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Programs:
    return Programs(tmp_path_factory.mktemp("systemd"), store, "systemd", "tzdata")


def test_systemd_says_the_same(systemd: Programs) -> None:
    program = start_from(systemd.root, "usr/bin/systemd-analyze")
    zones = os.fspath(systemd.root / "usr/share/zoneinfo")

    def is_taken(text: str) -> bool:
        done = subprocess.run(
            [*program, "calendar", "--", text],
            env={"TZ": "UTC", "TZDIR": zones},
            capture_output=True,
            check=False,
        )
        return done.returncode == 0

    assert [text for text in TAKEN if not is_taken(text)] == []
    assert [text for text in REFUSED if is_taken(text)] == []
