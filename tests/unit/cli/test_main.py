"""The command line before any verb runs."""

import pytest

from osloom.cli.main import _divide, main


@pytest.mark.parametrize(
    ("words", "own", "behind"),
    [
        (["run", "app"], ["run", "app"], []),
        (["run", "app", "--"], ["run", "app"], []),
        (
            ["run", "app", "--json", "--", "ls", "--json"],
            ["run", "app", "--json"],
            ["ls", "--json"],
        ),
        (["run", "app", "--", "sh", "--", "x"], ["run", "app"], ["sh", "--", "x"]),
    ],
)
def test_what_is_behind_two_dashes_is_for_the_program(
    words: list[str], own: list[str], behind: list[str]
) -> None:
    assert _divide(words) == (own, behind)


def test_a_command_that_starts_no_program_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--", "--json"]) == 2
    assert capsys.readouterr() == ("", "error: `osloom doctor` takes nothing behind `--`\n")
