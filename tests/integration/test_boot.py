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


def test_a_disk_of_the_suite_before_boots_too(tmp_path: Path, store: Path) -> None:
    """systemd 252 knows fewer credentials; its stub and its initrd are older."""
    (tmp_path / "osloom.toml").write_text("""
[debian]
suite = "bookworm"
[image.old]
packages = ["systemd-sysv", "udev", "dbus", "linux-image-cloud-amd64"]
outputs = ["disk"]
[[image.old.test]]
run = "systemctl --version | grep 'systemd 252'"
""")
    made = Workshop(tmp_path, store)
    made("lock").check()
    cases = made("test", "--json").check().json
    assert [(case["name"], case["verdict"]) for case in cases] == [
        ("boot", "passed"),
        ("systemctl --version | grep 'systemd 252'", "passed"),
    ]
