"""The syntax of unit files, systemd.syntax(7)."""

import pytest

from osloom.compose.application.units.file import (
    Specifiers,
    parse_environment_file,
    parse_unit,
    split_words,
    unescape,
)


def test_lines_continue_over_comments() -> None:
    unit = parse_unit(
        "# first\n[Service]\nExecStart=/bin/a \\\n  # not this\n; nor this\n  -b\nX = 1\n"
    )
    assert unit.value("Service", "ExecStart") == "/bin/a  -b"
    assert unit.value("Service", "X") == "1"


def test_two_backslashes_do_not_continue() -> None:
    unit = parse_unit("[Service]\nA=b\\\\\nC=d")
    assert (unit.value("Service", "A"), unit.value("Service", "C")) == ("b\\\\", "d")


def test_drop_ins_add_and_an_empty_assignment_forgets() -> None:
    unit = parse_unit("[Service]\nE=1\nE=2\nG=1\n", "[Service]\nE=\nE=3\n", "[Other]\nE=4\n")
    assert unit.values("Service", "E") == ("3",)
    assert unit.values("Service", "G") == ("1",)
    assert unit.keys("Service") == ("E", "G")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('"CONFIG=/etc/a b" EXTRA=', ("CONFIG=/etc/a b", "EXTRA=")),
        ("one'two three'four", ("onetwo threefour",)),
        (r"\x41\u00e9\n\101 \q", ("Aé\nA", "\\q")),
        ("'' \"\"", ("", "")),
        ("'open end", ("open end",)),
        ("trailing\\", ("trailing\\",)),
    ],
)
def test_words(text: str, words: tuple[str, ...]) -> None:
    assert split_words(text) == words


def test_specifiers_of_an_instance() -> None:
    heard: list[str] = []
    specifiers = Specifiers("pg-dump@17-main\\x2done.service")
    text = specifiers.expand("%n %N %p %j %i %I %f %S %% %H", heard.append)
    name = "pg-dump@17-main\\x2done"
    assert text == (
        f"{name}.service {name} pg-dump dump 17-main\\x2done 17/main-one /17/main-one /var/lib % %H"
    )
    assert heard == ["%H"]
    assert unescape("dev-sda\\x2d1") == "dev/sda-1"


def test_an_environment_file_is_no_script() -> None:
    text = """# comment
A="one \\"two\\" \\$x"
export C=no
D='$a "b"'
E=plain text
  F=
G=con\\
tinued
H="two
lines"
"""
    assert parse_environment_file(text) == {
        "A": 'one "two" $x',
        "D": '$a "b"',
        "E": "plain text",
        "F": "",
        "G": "continued",
        "H": "two\nlines",
    }
