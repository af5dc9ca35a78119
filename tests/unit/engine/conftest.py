import os
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def support_in_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers are other processes: they find the actions as any module."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([f"{_ROOT}/src", f"{_ROOT}/tests"]))
