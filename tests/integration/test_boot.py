"""One machine, booted for real, with the definition's tests run in it."""

from pathlib import Path
from xml.etree import ElementTree as ET

from integration.conftest import Workshop


def test_the_example_boots_and_its_tests_pass(example: Workshop, tmp_path: Path) -> None:
    definition = example.directory / "osloom.toml"
    text = definition.read_text()
    more = """
[[image.server.test]]
name = "packages are whole"
run = "test -z \\"$(dpkg --audit)\\" && test -z \\"$(dpkg --verify)\\""
[[image.server.test]]
name = "a failing test is seen"
run = "echo as expected; exit 7"
"""
    report = tmp_path / "report.xml"
    try:
        definition.write_text(text + more)
        done = example("test", "server", "--junit", str(report))
    finally:
        definition.write_text(text)
    cases = {case.get("name"): case for case in ET.parse(report).getroot().iter("testcase")}
    verdicts = {name: case.find("failure") is None for name, case in cases.items()}
    assert verdicts == {
        "boot": True,
        "all services start": True,
        "packages are whole": True,
        "a failing test is seen": False,
    }, done.stdout
    failure = cases["a failing test is seen"].find("failure")
    assert failure is not None
    assert (failure.get("message"), failure.text) == ("exit status 7", "as expected")
    assert done.status == 1
    assert (example.directory / "dist/logs/server.console.log").exists()
