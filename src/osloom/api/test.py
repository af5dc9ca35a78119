"""Test the outputs of a project: boot them, run the definition's commands in them."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from osloom.api.cases import keep_console, make_case, name_of, note, run_test
from osloom.api.container_tests import test_container
from osloom.api.machine import booted_disk, machine_for, machine_tools
from osloom.api.nspawn import test_nspawn
from osloom.api.requests import architecture_of
from osloom.api.session import Session
from osloom.base.errors import Error
from osloom.model.definition import Image, Test
from osloom.run import agent
from osloom.run.qemu import Running, started
from osloom.run.report import Case, Verdict

BOOT_TIMEOUT = 300
"""Seconds; under emulation a full system needs one minute or two."""

_READ_ONLY = r"""
journalctl -b --no-pager -o verbose --output-fields=_SYSTEMD_UNIT --grep 'Read-only file system' |
    sed -n 's/^ *_SYSTEMD_UNIT=//p' | grep -v '^init\.scope$' || true
"""
"""Prints the units that were told EROFS, errno(3)."""

_UNTESTED = {
    "initrd": "it is tested with the disk",
    "uki": "it is tested with the disk",
    "tar": "it is the image tree that the other outputs hold",
    "sysext": "it is tested in the image that it extends",
    "confext": "it is tested in the image that it extends",
}


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where the logs of failed boots go."""

    logs: Path


def test(session: Session, images: Mapping[str, Image], place: Place) -> list[Case]:
    """Every output that can run, with every test meant for it; one boot for each."""
    cases: list[Case] = []
    for name, image in images.items():
        for output in image.outputs:
            cases += _test_output(session, name, image, output, place)
    return cases


def tests_for(image: Image, output: str) -> tuple[Test, ...]:
    """Those meant for it, of which some only containers can run."""
    meant = [one for one in image.test if one.outputs is None or output in one.outputs]
    return tuple(one for one in meant if output == "oci" or not one.is_for_containers)


def _test_output(
    session: Session, name: str, image: Image, output: str, place: Place
) -> list[Case]:
    wanted = tests_for(image, output)
    match output:
        case "disk":
            return _test_machine(session, name, wanted, place)
        case "oci" if image.nixos is not None:
            return _test_system_in_container(session, name, image, wanted)
        case "oci":
            return test_container(session, name, image, wanted)
        case "nspawn":
            return test_nspawn(session, name, wanted, place.logs)
        case _:
            return [
                Case(
                    image=name,
                    output=output,
                    name="boot",
                    verdict="skipped",
                    message=_UNTESTED.get(output, "nothing can run it"),
                )
            ]


def _test_system_in_container(
    session: Session, name: str, image: Image, wanted: Sequence[Test]
) -> list[Case]:
    """Only what starts nothing of it: its first process is systemd."""
    said = "its first process is systemd: the output `nspawn` is tested with it running"
    return [
        *test_container(session, name, image, [one for one in wanted if one.file is not None]),
        make_case(name, "oci", "boot", "skipped", 0, (said, "")),
    ]


def _test_machine(session: Session, name: str, wanted: Sequence[Test], place: Place) -> list[Case]:
    tools = machine_tools(session, architecture_of(session.project.image(name)))
    encryption = session.project.image(name).disk.data.encryption
    # Nobody is there to choose one.
    secret = {"cryptsetup.passphrase": "of a test"} if encryption == "passphrase" else {}
    with session.store.working_directory() as work:
        machine = machine_for(
            session,
            booted_disk(session, name, work),
            tools,
            work,
            architecture=architecture_of(session.project.image(name)),
            credentials={**agent.credentials(), **secret},
            test_socket=True,
            console_log=True,
            tpm=encryption == "tpm2",
        )
        note(session, f"boot {name}")
        with started(machine, tools, work) as running:
            cases = _run_in_machine(session, name, running, wanted)
            if any(case.verdict == "failed" for case in cases):
                log = keep_console(running, name, place.logs)
                note(session, f"the console of {name} is in {log}")
            return cases


def _run_in_machine(
    session: Session, name: str, running: Running, wanted: Sequence[Test]
) -> list[Case]:
    start = time.monotonic()
    reached = agent.Agent(running.work / "test", is_alive=running.is_alive)
    try:
        state = reached.wait(BOOT_TIMEOUT)
    except Error as error:
        detail = f"{running.problem()}\n{running.console()[-3000:]}"
        seconds = time.monotonic() - start
        return [make_case(name, "disk", "boot", "failed", seconds, (error.message, detail))]
    verdict: Verdict = "passed" if state == "running" else "failed"
    message = "" if verdict == "passed" else f"the system is `{state}`{_writers(reached)}"
    detail = "" if verdict == "passed" else _failed_units(reached)
    cases = [
        make_case(name, "disk", "boot", verdict, time.monotonic() - start, (message, detail)),
    ]
    for one in wanted:
        note(session, f"test {name}: {name_of(one)}")
        cases.append(run_test(name, "disk", one, reached.run))
    return cases


def _writers(reached: agent.Agent) -> str:
    """Which units wanted to write to a root that nobody writes to."""
    answer = reached.run(_READ_ONLY, timeout=60)
    names = sorted(set(answer.output.split()))
    return f": {' and '.join(names)} wrote to the root, which is read-only" if names else ""


def _failed_units(reached: agent.Agent) -> str:
    command = "systemctl --failed --no-legend; journalctl -b -p warning --no-pager | tail -n 40"
    return reached.run(command, timeout=60).output
