"""Boot an nspawn output as its users do: systemd-nspawn, in a machine that osloom builds for it.

The host needs neither root nor systemd for that: the machine has both.
"""

import shlex
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from osloom.api.cases import keep_console, make_case, name_of, note, run_test
from osloom.api.machine import machine_for, machine_tools
from osloom.api.plan import plan, plan_one
from osloom.api.requests import TOOLS, architecture_of, nspawn_host, nspawn_host_name
from osloom.api.session import Session
from osloom.base.errors import Error
from osloom.compose.plan import plan_tools
from osloom.engine import toolset
from osloom.engine.tools import Tools
from osloom.model.definition import Test
from osloom.run import agent
from osloom.run.machine import Drive, Machine
from osloom.run.qemu import Running, started
from osloom.run.report import Case
from osloom.run.service import PATH

BOOT_TIMEOUT = 300
_ROOM = 16 << 30

_IMPORT = """
mkfs.ext4 -q -E lazy_itable_init=1,nodiscard /dev/vdc
mount /dev/vdc /var/lib/machines
head --bytes={size} /dev/vdb | {plain} | importctl --class=machine import-tar - image
"""
_START = "machinectl start image"
_PLAIN = {"zstd": "zstd --decompress --stdout"}
"""What importctl of the machine cannot decompress by itself."""

_INSIDE = "systemd-run --machine=image --quiet --wait --pipe --service-type=exec"
_READY = f"""
# The container counts as started before its bus can be reached.
until {_INSIDE} /bin/sh -c : 2>/dev/null; do sleep 1; done
{_INSIDE} /bin/sh -c {shlex.quote(f"{PATH}systemctl is-system-running --wait")}
"""
_FAILED = f"{PATH}systemctl --failed --no-pager --no-legend"
_WHY = f"""
journalctl --unit=systemd-nspawn@image --no-pager | tail --lines=60
machinectl --no-pager
{_INSIDE} /bin/sh -c {shlex.quote(_FAILED)}
"""


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """The machine for an nspawn output, not started yet."""

    machine: Machine
    tools: Tools
    importing: str
    """The command that makes the archive a container of the machine, by the name `image`."""


def test_nspawn(session: Session, name: str, wanted: Sequence[Test], logs: Path) -> list[Case]:
    """Import the archive with importctl, start it with machinectl, run the tests inside."""
    with session.store.working_directory() as work:
        host = nspawn_host_for(session, name, work, test_socket=True, console_log=True)
        machine = msgspec.structs.replace(host.machine, credentials=agent.credentials())
        note(session, f"boot {name} in systemd-nspawn")
        with started(machine, host.tools, work) as running:
            cases = _run(session, name, running, wanted, host.importing + _START)
            if any(case.verdict == "failed" for case in cases):
                note(session, f"the console is in {keep_console(running, f'{name}.nspawn', logs)}")
            return cases


def nspawn_host_for(session: Session, name: str, work: Path, **settings: object) -> Host:
    """Build the archive and the machine that will hold it; `settings` are the machine's."""
    image = session.project.image(name)
    architecture = architecture_of(image)
    tools = machine_tools(session, architecture)
    planned = plan(session, {name: image}, ("nspawn",))
    base = (plan_tools(session.lock.packages_of(TOOLS)), toolset.SUITE)
    _, host = plan_one(
        session, nspawn_host_name(architecture), nspawn_host(architecture), ("disk",), base
    )
    outputs = [one.product.output for one in (*planned.outputs, *host)]
    archive, disk = (session.store.blobs.path(one) for one in session.make(outputs))
    plain = _PLAIN.get(image.nspawn.compression, "cat")
    machine = machine_for(
        session,
        Drive(path=disk),
        tools,
        work,
        more=(Drive(path=archive), Drive(path=_room(work))),
        architecture=architecture,
        **settings,
    )
    importing = _IMPORT.format(size=archive.stat().st_size, plain=plain)
    return Host(machine=machine, tools=tools, importing=importing)


def _room(work: Path) -> Path:
    """An empty drive that the unpacked archive has room on; nothing of it is ever written."""
    path = work / "room"
    with path.open("wb") as file:
        file.truncate(_ROOM)
    return path


def _run(
    session: Session, name: str, running: Running, wanted: Sequence[Test], command: str
) -> list[Case]:
    start = time.monotonic()
    reached = agent.Agent(running.work / "test", is_alive=running.is_alive)
    try:
        reached.wait(BOOT_TIMEOUT)
        imported = reached.run(command, timeout=BOOT_TIMEOUT)
        ready = reached.run(_READY, timeout=BOOT_TIMEOUT) if imported.status == 0 else imported
    except Error as error:
        said = (error.message, running.console()[-3000:])
        return [make_case(name, "nspawn", "boot", "failed", time.monotonic() - start, said)]
    seconds = time.monotonic() - start
    if ready.status != 0:
        what = "it could not be imported or started" if ready is imported else "it is not well"
        log = reached.run(_WHY, timeout=60).output
        said = (what, f"{ready.output.strip()[-3000:]}\n{log}")
        return [make_case(name, "nspawn", "boot", "failed", seconds, said)]

    def inside(command: str, *, timeout: int) -> agent.Answer:
        # The command travels through a shell of the machine into one of the container.
        quoted = shlex.quote(f"{PATH}{command}")
        return reached.run(f"{_INSIDE} /bin/sh -ec {quoted}", timeout=timeout)

    cases = [make_case(name, "nspawn", "boot", "passed", seconds, ("", ""))]
    for one in wanted:
        note(session, f"test {name} in systemd-nspawn: {name_of(one)}")
        cases.append(run_test(name, "nspawn", one, inside))
    return cases
