"""The store of the integration tests serves the pages too."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    given = os.environ.get("OSLOOM_STORE")
    return Path(given) if given else tmp_path_factory.mktemp("store")
