"""An appliance of the template, as a device: updates, versions that do not work, resets."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from integration.conftest import Workshop
from support.cli import environment
from support.programs import Programs
from support.terminal import Terminal

SHORT = ("update", "health", "forged")
LONG = (
    "panic",
    "init",
    "hang",
    "checksum",
    "truncated",
    "downgrade",
    "power-cuts",
    "flipped-bit",
    "full",
    "too-large",
    "too-small",
    "factory-reset",
    "factory-reset-menu",
    "factory-reset-credential",
    "window",
    "many",
)

LITTLE_ROOM = """
import sys, threading, time
from pathlib import Path
from osloom.cli.main import main
from osloom.engine import identity, mounts
identity.enter("single")
identity.unshare(identity.CLONE_NEWNS)
mounts.make_private()
place, more, remount = sys.argv.pop(), Path(sys.argv.pop()), 0x20
mounts.mount("tmpfs", place, "tmpfs", 0, "size=160m")

def make_room():
    while not more.exists():
        time.sleep(1)
    mounts.mount("tmpfs", place, "tmpfs", remount, "size=600m")

threading.Thread(target=make_room, daemon=True).start()
sys.exit(main())
"""
"""osloom, with little room for what machines write until the file `more` is there."""
FILL = "head -c 200M /dev/urandom >/var/fill; sync"


def with_little_room(appliance: Workshop, more: Path, *words: str) -> list[str]:
    work = appliance.store / "work"
    return [sys.executable, "-c", LITTLE_ROOM, *words, os.fspath(more), os.fspath(work)]


@pytest.fixture(scope="module")
def appliance(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Workshop:
    workshop = Workshop(tmp_path_factory.mktemp("appliance"), store)
    for words in (("init", "appliance"), ("keys", "new"), ("lock",), ("build",)):
        workshop(*words).check()
    return workshop


def test_it_boots_and_its_root_is_verified(appliance: Workshop) -> None:
    assert appliance.verdicts() == {"boot": "passed", "the root is verified": "passed"}


@pytest.mark.parametrize(
    ("scenario", "cause", "hint"),
    [
        ("passphrase", "its data are not behind a passphrase", "[image.gateway.disk]"),
        ("sealed", "its data are not bound to a TPM", "[image.gateway.disk]"),
        ("extension", "its devices take no extensions", "[image.gateway.update]"),
    ],
)
def test_scenarios_that_cannot_be_are_refused_before_a_boot(
    appliance: Workshop, scenario: str, cause: str, hint: str
) -> None:
    done = appliance("test", "--scenario", "panic", "--scenario", scenario)
    said = f"error: cannot try the scenario `{scenario}` with `gateway`: {cause}\n"
    assert (done.status, done.stdout) == (2, "")
    assert done.stderr.startswith(said)
    assert hint in done.stderr


def test_only_root_writes_to_the_top_of_the_root(appliance: Workshop, tmp_path: Path) -> None:
    programs = Programs(tmp_path, appliance.store, "erofs-utils")
    appliance("release", "--to", str(tmp_path / "channel")).check()
    (root,) = (tmp_path / "channel/gateway").glob("*.root")
    said = programs("usr/bin/dump.erofs", "--path=/", root)
    assert "Uid: 0   Gid: 0  Access: 0755/rwxr-xr-x" in said


def test_nobody_waits_for_a_machine_that_this_host_has_no_room_for(
    appliance: Workshop, tmp_path: Path
) -> None:
    definition = appliance.directory / "osloom.toml"
    text = definition.read_text()
    try:
        definition.write_text(f'{text}[[image.gateway.test]]\nrun = "{FILL}"\n')
        done = subprocess.run(
            with_little_room(appliance, tmp_path / "never", "test"),
            cwd=appliance.directory,
            env=environment(OSLOOM_STORE=str(appliance.store)),
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        definition.write_text(text)
    assert done.returncode == 1
    said = "cannot go on: the machine stands still: there is no room for what it writes"
    assert said in done.stderr + done.stdout


@pytest.mark.long
def test_a_machine_in_the_terminal_goes_on_when_there_is_room(
    appliance: Workshop, tmp_path: Path
) -> None:
    terminal = Terminal(appliance.directory, appliance.store)
    try:
        words = with_little_room(appliance, tmp_path / "more", "run", "gateway")
        terminal.type(f"exec {shlex.join(words)}\r")
        terminal.wait_for("# ", timeout=300)
        terminal.type(f"{FILL}; echo do''ne\r")
        terminal.wait_for("stands still", timeout=120)
        (tmp_path / "more").touch()
        terminal.wait_for("done", timeout=120)
        terminal.type("\x01x")
    finally:
        terminal.close()


def test_a_device_updates_itself_and_returns_from_what_does_not_work(appliance: Workshop) -> None:
    assert appliance.verdicts(*SHORT) == dict.fromkeys(("boot", *SHORT), "passed")


@pytest.mark.long
def test_a_device_survives_what_happens_to_devices(appliance: Workshop) -> None:
    assert appliance.verdicts(*LONG) == dict.fromkeys(("boot", *LONG), "passed")


@pytest.mark.long
def test_firmware_with_the_keys_of_a_device_starts_what_they_signed(appliance: Workshop) -> None:
    assert appliance.verdicts("secure-boot") == dict.fromkeys(("boot", "secure-boot"), "passed")


@pytest.mark.long
def test_who_writes_to_the_root_is_named(appliance: Workshop) -> None:
    definition = appliance.directory / "osloom.toml"
    text = definition.read_text()
    unit = "[Service]\\nType=oneshot\\nExecStart=touch /usr/written\\n"
    more = f"""
"/usr/lib/systemd/system/bad.service" = {{ text = "{unit}" }}
"/usr/lib/systemd/system/multi-user.target.wants/bad.service" = {{ link = "../bad.service" }}
"""
    try:
        definition.write_text(
            text.replace("[image.gateway.files]\n", f"[image.gateway.files]{more}")
        )
        done = appliance("test", "--json")
    finally:
        definition.write_text(text)
    boot = next(case for case in done.json if case["name"] == "boot")
    said = "the system is `degraded`: bad.service wrote to the root, which is read-only"
    assert (boot["verdict"], boot["message"]) == ("failed", said)


def test_a_scenario_that_there_is_not_has_a_near_name(appliance: Workshop) -> None:
    done = appliance("test", "--scenario", "helth")
    assert done.status == 2
    assert "did you mean `health`?" in done.stderr


def test_a_slot_that_is_too_small_is_said_with_the_numbers(appliance: Workshop) -> None:
    definition = appliance.directory / "osloom.toml"
    text = definition.read_text()
    try:
        definition.write_text(text.replace('slot-size = "256M"', 'slot-size = "32M"'))
        done = appliance("build")
    finally:
        definition.write_text(text)
    assert done.status == 1
    assert "MiB into slots of 32 MiB" in done.stderr
    assert "raise `slot-size`" in done.stderr
