"""Every command line of the documentation is run."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.cli import environment, osloom
from support.programs import Programs
from support.registry import running

ROOT = Path(__file__).parents[2]
DEFINITION = "osloom.toml"
FLAKE = "flake.nix"
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/*.md")])


EXAMPLE_REGISTRY = "registry.example.com"
"""What pages call the registry that the test starts on this machine."""


@pytest.fixture
def registry(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Iterator[str]:
    """The address of a registry of Debian."""
    directory = tmp_path_factory.mktemp("registry")
    programs = Programs(directory, store, "docker-registry")
    with running(programs.root, directory / "registry") as server:
        yield server.address


def blocks(page: Path) -> list[tuple[str, str]]:
    """The fenced texts of a page with their info strings: `sh`, `toml osloom.toml`."""
    return re.findall(r"^```(\S[^\n]*)\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def commands(page: Path) -> list[str]:
    """The command lines in order; what is to be written, a definition or a flake, is among them."""
    found = []
    for kind, text in blocks(page):
        if kind == "sh":
            found += [line for line in text.splitlines() if line.strip()]
        elif kind in (f"toml {DEFINITION}", f"nix {FLAKE}"):
            found.append(f"{kind.split()[1]}\n{text}")
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_commands_of_a_page_work_in_order(
    page: Path, tmp_path: Path, store: Path, request: pytest.FixtureRequest
) -> None:
    place = tmp_path
    for line in commands(page):
        if line.startswith((f"{DEFINITION}\n", f"{FLAKE}\n")):
            name, _, text = line.partition("\n")
            (place / name).write_text(text)
            continue
        used = EXAMPLE_REGISTRY in line
        address = request.getfixturevalue("registry") if used else EXAMPLE_REGISTRY
        words = shlex.split(line.replace(EXAMPLE_REGISTRY, address))
        if words[0] == "cd":
            place /= words[1]
            assert place.is_dir()
        elif words[0] == "osloom":
            # The flakes of the pages need nothing from outside.
            given = {"OSLOOM_STORE": str(store), "NIX_CONFIG": "substituters ="}
            osloom(place, *words[1:], **given).check()
        elif words[0] == "scripts/try":
            done = subprocess.run(
                [str(ROOT / words[0]), str(tmp_path / "try")],
                env=environment(OSLOOM_STORE=str(store)),
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
            assert re.search(r"disk +boot +passed", done.stdout)
        else:
            # These run the tests or the benchmarks: what runs now is one of them.
            assert words[0] in ("scripts/test", "bench/run")
            assert (ROOT / words[0]).exists()


def test_there_are_commands() -> None:
    assert commands(ROOT / "README.md") == [
        "scripts/try",
        "scripts/test",
        "osloom init container",
        "osloom build",
        "osloom test",
        "osloom push --to registry.example.com/team",
        "osloom init appliance edge",
        "cd edge",
        "osloom keys new",
        "osloom build",
        "osloom release",
    ]


def test_the_first_definition_of_the_readme_is_right() -> None:
    from osloom.definition.load import parse

    (text,) = re.findall(
        r"^```toml\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL
    )
    assert list(parse(text, file="README.md").image) == ["api", "server"]


def test_every_package_that_the_architecture_names_is_there() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    for name in re.findall(r"`((?:[a-z]+\.)+[a-z]+)`", text):
        if name.split(".")[0] in ("osloom", "project") or name.endswith(".py"):
            continue
        place = ROOT / "src/osloom" / name.replace(".", "/")
        assert any(
            path.exists()
            for path in (place, place.with_suffix(".py"), place.parent.with_suffix(".py"))
        ), name


def test_the_ci_runs_the_test_command_of_the_readme() -> None:
    assert "scripts/test" in (ROOT / ".ci/run").read_text()
