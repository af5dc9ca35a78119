"""What tests of composing share."""

from pathlib import Path

import pytest

from osloom.store.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")
