"""One set of keys for all tests that only read them: making them takes a second."""

import os
import shutil
from pathlib import Path

import pytest

from osloom.keys.make import make_keys

NOW = 1_790_000_000


@pytest.fixture(scope="session")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("made") / "keys"
    before = os.umask(0o022)
    make_keys(directory, name="edge", now=NOW)
    os.umask(before)
    return directory


@pytest.fixture
def keys(_made: Path, tmp_path: Path) -> Path:
    """A directory of keys for one test alone."""
    shutil.copytree(_made, tmp_path / "keys")
    return tmp_path / "keys"


@pytest.fixture
def now() -> int:
    """Seconds since 1970; the keys begin there."""
    return NOW
