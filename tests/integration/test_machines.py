"""One machine over many boots: reset, hung, cut from power, and started again as it was left."""

import contextlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from integration.conftest import Workshop
from osloom.api.disk_file import inspect_disk
from osloom.api.machine import built_disk, machine_for, machine_tools
from osloom.api.project import open_project, open_store
from osloom.api.requests import TOOLS
from osloom.api.session import Session
from osloom.base.errors import BuildError
from osloom.base.progress import silent
from osloom.compose.appliance.units import status_program
from osloom.compose.plan import plan_tools
from osloom.engine.tools import Tools
from osloom.run import agent, drives
from osloom.run.machine import Drive
from osloom.run.qemu import Running, started
from support.appliance import PACKAGES, Made
from support.appliance import Bench as Appliances
from support.programs import Programs

_DEFINITION = """
[image.kept]
packages = [
    "systemd-sysv", "udev", "dbus", "linux-image-cloud-amd64", "util-linux",
    "libtss2-esys-3.0.2-0t64", "libtss2-rc0t64", "libtss2-tcti-device0t64",
]
outputs = ["disk"]
[image.kept.files]
# They are enabled at the first boot, and at the second they fail for the policy they wrote then.
"/usr/lib/systemd/system-preset/10-pcrlock.preset" = { text = "disable systemd-pcrlock-*\\n" }
"""
_SIZE = 4 << 30
_UP = 900

_LOOK = """
udevadm settle
test -c /dev/tpmrm0
echo "tpm $(cat /sys/class/tpm/tpm0/tpm_version_major)"
echo "watchdog $(cat /sys/class/watchdog/watchdog0/identity)"
echo "size $(blockdev --getsize64 /dev/vda)"
mountpoint -q /sys/firmware/efi/efivars || mount -t efivarfs efivarfs /sys/firmware/efi/efivars
for name in SetupMode SecureBoot; do
    value=$(od -An -tu1 -j4 /sys/firmware/efi/efivars/$name-*)
    echo "$name" $value
done
"""
_SEAL = """
echo sealed | systemd-creds encrypt --with-key=tpm2 --tpm2-pcrs=7 --name=kept - /root/sealed
echo given >/root/kept
sync
"""
_KEPT = "cat /root/kept; systemd-creds decrypt --name=kept /root/sealed -"
_HANG = """
udevadm settle
test -c /dev/watchdog0
exec 9>/dev/watchdog0
echo >&9
echo 0 >/proc/sys/kernel/panic
echo c >/proc/sysrq-trigger
"""
_WRITE = "setsid sh -c 'while :; do echo more >>/root/growing; sync; done' >/dev/null 2>&1 &"


class Bench:
    """A machine that is started again and again."""

    def __init__(self, session: Session, work: Path) -> None:
        self._session, self._work = session, work
        self._tools = machine_tools(session, "amd64")
        (tools,) = session.make([plan_tools(session.lock.packages_of(TOOLS))])
        self.build_tools = Tools(session.store.checkout(tools))
        self.disk = built_disk(session, "kept")

    @contextlib.contextmanager
    def started(self, drive: Drive, **settings: Any) -> Iterator[tuple[Running, agent.Agent]]:
        machine = machine_for(
            self._session,
            drive,
            self._tools,
            self._work,
            architecture="amd64",
            credentials=agent.credentials(),
            test_socket=True,
            console_log=True,
            **settings,
        )
        with started(machine, self._tools, self._work) as running:
            yield running, agent.Agent(running.work / "test", is_alive=running.is_alive)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Iterator[Bench]:
    workshop = Workshop(tmp_path_factory.mktemp("machines"), store)
    (workshop.directory / "osloom.toml").write_text(_DEFINITION)
    workshop("lock").check()
    project = open_project(workshop.directory / "osloom.toml")
    with (
        # The socket of the port has a short name there.
        tempfile.TemporaryDirectory() as work,
        contextlib.closing(open_store(store)) as opened,
        Session(project, project.lock(), opened, silent) as session,
    ):
        yield Bench(session, Path(work))


_FAILED = "systemctl --failed --no-legend; journalctl -b -p warning --no-pager | tail -n 40"


def _check_state(reached: agent.Agent, state: str) -> None:
    assert state == "running", reached.run(_FAILED, timeout=60).output


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Made:
    programs = Programs(tmp_path_factory.mktemp("programs"), store, *PACKAGES)
    return Made(Appliances(programs, tmp_path_factory.mktemp("slots")))


def _check_status(reached: agent.Agent, disk: Path) -> None:
    """The device tells of its disk what osloom tells of the file."""
    _check(reached, "mkdir /run/esp; mount /dev/vdb1 /run/esp")
    script = f"sh -s /dev/vdb <<'OSLOOM'\n{status_program()}\nOSLOOM\n"
    said = json.loads("\n".join(_check(reached, script)))
    seen = msgspec.to_builtins(inspect_disk(disk, verify=False))
    assert _without(said["slots"], "is_booted") == _without(
        seen["slots"], "signature", "signed_by", "signature_check", "check"
    )
    assert said["esp"]["free"] == seen["esp"]["free"]
    assert said["esp"]["ukis"] == _without(
        seen["esp"]["ukis"], "title", "root_hash", "signature", "problem"
    )
    assert said["esp"]["default"] == seen["esp"]["default"]
    assert said["units"] == {"state": "running", "failed": []}
    assert said["boot"]["secure_boot"] is False
    assert said["boot"]["entry"].startswith("kept_")
    assert said["data"]["filesystem"] == "ext4"
    assert 0 < said["data"]["free"] < said["data"]["size"] < _SIZE


def _without(rows: list[dict[str, Any]], *names: str) -> list[dict[str, Any]]:
    return [{name: one[name] for name in one if name not in names} for one in rows]


def _check(reached: agent.Agent, script: str) -> list[str]:
    answer = reached.run(script, timeout=120)
    assert answer.status == 0, answer.output
    return answer.output.splitlines()


@pytest.mark.long
def test_a_machine_outlives_a_reboot_a_hang_and_a_cut_of_its_power(
    bench: Bench, made: Made, tmp_path: Path
) -> None:
    drive = drives.overlay(bench.build_tools, bench.disk, tmp_path / "disk.qcow2", size=_SIZE)
    settings: dict[str, Any] = {
        "reboots": True,
        "watchdog": True,
        "tpm": True,
        "secure_boot": True,
        "fw_cfg": {"passed": "by fw_cfg, whole"},
    }
    with bench.started(drive, **settings) as (running, reached):
        _check_state(reached, reached.wait(_UP))
        assert _check(reached, _LOOK) == [
            "tpm 2",
            "watchdog i6300ESB timer",
            f"size {_SIZE}",
            "SetupMode 1",
            "SecureBoot 0",
        ]
        assert _check(reached, "systemd-creds --system cat passed") == ["by fw_cfg, whole"]
        _check(reached, _SEAL)
        first = reached.boot
        _check_state(reached, reached.reboot(_UP))
        assert (reached.boot != first, _check(reached, _KEPT)) == (True, ["given", "sealed"])

        with pytest.raises(agent.RebootError):
            reached.run(_HANG, timeout=_UP)
        _check_state(reached, reached.wait(_UP))
        assert _check(reached, _KEPT) == ["given", "sealed"]
        _check(reached, _WRITE)
        running.kill()
        with pytest.raises(BuildError, match="it ended"):
            reached.run("true", timeout=1)
    more = (Drive(path=made.disk),)
    with bench.started(drive, more=more, **settings) as (running, reached):
        _check_state(reached, reached.wait(_UP))
        assert _check(reached, _KEPT) == ["given", "sealed"]
        assert running.console().count("end Kernel panic") == 1
        assert running.console().count("Linux version") == 4
        _check_status(reached, made.disk)


def test_a_copy_of_a_disk_is_raw_and_as_large_as_asked(bench: Bench, tmp_path: Path) -> None:
    drive = drives.copy(bench.build_tools, bench.disk, tmp_path / "disk.raw", size=_SIZE)
    assert (drive.format, drive.path.stat().st_size) == ("raw", _SIZE)
    assert drive.path.stat().st_blocks * 512 < _SIZE // 4
