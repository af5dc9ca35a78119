"""What tests of appliances share."""

from pathlib import Path

import pytest

from support.workbench import Workbench


@pytest.fixture
def workbench(tmp_path: Path) -> Workbench:
    return Workbench(tmp_path / "store")
