import os
from pathlib import Path

import pytest

from osloom.engine.identity import Range, _subordinate, onto_itself


@pytest.mark.parametrize(
    ("around", "inside"),
    [
        pytest.param("0 0 4294967295\n", "0 0 65536\n", id="host"),
        pytest.param("0 100000 65536\n", "0 0 65536\n", id="container of root"),
        pytest.param(
            "         0       1000          1\n         1     100000      65536\n",
            "0 0 1\n1 1 65535\n",
            id="container of a user with subordinate ids",
        ),
        pytest.param("0 1000 1\n", None, id="container of a user with one id"),
        pytest.param("0 0 1000\n1001 1001 65536\n", None, id="an id is left out"),
    ],
)
def test_root_hands_on_the_ids_that_it_has(around: str, inside: str | None) -> None:
    assert onto_itself(around) == inside


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        (["100000:65536"], Range(100000, 65536)),
        (["100000:9", "200000:65536"], Range(200000, 65536)),
        (["100000:²", "x:65536", f"{'9' * 5000}:65536", "", "100000"], None),
        (["x:65536", "100000:65536"], Range(100000, 65536)),
    ],
)
def test_subordinate_ids_are_of_a_row_with_numbers(
    tmp_path: Path, rows: list[str], found: Range | None
) -> None:
    (tmp_path / "subuid").write_text("".join(f"{os.getuid()}:{row}\n" for row in rows))
    assert _subordinate(str(tmp_path / "subuid")) == found
