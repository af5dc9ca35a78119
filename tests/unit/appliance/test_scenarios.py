"""What devices can be tried with is what docs/appliance.md says."""

import re
from pathlib import Path

from osloom.api.scenarios.run import SCENARIOS

ROOT = Path(__file__).parents[3]


def test_every_scenario_is_in_the_table() -> None:
    text = (ROOT / "docs/appliance.md").read_text()
    table = text.partition("| `osloom test --scenario` |")[2].partition("\n\n")[0]
    firsts = [line.split("|")[1] for line in table.splitlines()[1:]]
    assert sorted(re.findall(r"`([a-z-]+)`", " ".join(firsts))) == sorted(SCENARIOS)
