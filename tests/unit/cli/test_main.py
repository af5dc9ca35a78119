"""The command line before any verb runs."""

import subprocess
import sys
from pathlib import Path

import pytest

from osloom.cli.main import _divide, main
from osloom.fetch import download


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


def test_output_that_finds_no_room_is_said_in_a_sentence() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "osloom", "schema"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    said = "error: cannot write the output: No space left on device\nhint: free some space\n"
    assert (done.returncode, done.stderr) == (1, said)


def test_who_reads_the_output_may_stop() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "osloom", "schema"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1


@pytest.mark.parametrize("how", [[], ["--json"], ["--progress", "json"]])
def test_the_password_of_a_mirror_is_not_printed(
    how: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(download, "_PAUSE", 0.01)
    monkeypatch.chdir(tmp_path)
    Path("osloom.toml").write_text(
        '[debian]\nmirror = "http://user:secret@127.0.0.1:1/debian"\n'
        '[image.app]\npackages = ["hello"]\noutputs = ["tar"]\n'
    )
    assert main(["lock", "--store", "store", *how]) == 1
    said = "".join(capsys.readouterr())
    assert "cannot fetch http://127.0.0.1:1/debian" in said
    assert "secret" not in said
    assert "user" not in said


@pytest.mark.parametrize("password", ["se#cret", "se/cret", "se?cret"])
def test_a_password_that_makes_no_address_is_not_printed_either(
    password: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    mirror = f"http://user:{password}@127.0.0.1:1/debian"
    monkeypatch.setenv("OSLOOM_DEBIAN_MIRROR", mirror)
    Path("osloom.toml").write_text('[image.app]\npackages = ["hello"]\noutputs = ["tar"]\n')
    assert main(["lock", "--store", "store"]) == 1
    said = "".join(capsys.readouterr())
    assert "cannot fetch http://127.0.0.1:1/debian" in said
    assert "write what is special in them as in `%23`" in said
    assert "cret" not in said
