"""Scenarios of factory resets: what a first boot finds is there again, and nothing else."""

import difflib
import re
from collections.abc import Callable

from osloom.api.scenarios.device import Device
from osloom.api.scenarios.trial import Trial
from osloom.model.appliance import DATA, mounts
from osloom.model.profiles import RESET_OPTION

_MARK = "/var/lib/osloom-trial"
_STATE = r"""
find /var -xdev -printf '%p %y %m %U:%G\n'
lsblk -nro PARTLABEL,SIZE,FSTYPE,MOUNTPOINTS
"""
_ID = re.compile(r"[0-9a-f]{32}")
_DATA_SIZE = re.compile(rf"^({DATA}|) \S+")
"""Of data, and of what is in it behind a passphrase: the size that the disk leaves, and a disk may have
become larger."""
_DIFFERS = re.compile(
    r"^/var/(log/journal/|tmp/|cache/|lib/systemd/(timers|random-seed|timesync)|lib/osloom/recovery)"
)
"""What comes at some moment after a boot."""
_ONESHOT = "/sys/firmware/efi/efivars/LoaderEntryOneShot-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"


def state(device: Device) -> str:
    """What a boot has made: a line for each file of /var with owner and mode, and each partition."""
    lines = [
        _DATA_SIZE.sub(r"\1 SIZE", _ID.sub("ID", line)) for line in device.run(_STATE).splitlines()
    ]
    kept = [line for line in lines if not _DIFFERS.match(line) and line.strip()]
    # Slots have the names of their versions.
    return "\n".join(sorted(line for line in kept if not re.match(r"_empty|\S+_\d+ ", line)))


def by_command(trial: Trial, device: Device) -> None:
    """A reset leaves what a first boot makes, and the version that runs."""

    def ask(_: str) -> None:
        device.send("systemctl start factory-reset.target")
        device.wait()

    _reset(trial, device, ask)


def by_menu(trial: Trial, device: Device) -> None:
    """An entry of the boot menu resets once; the newest version starts, whichever it was of."""

    def ask(_: str) -> None:
        oldest, *_others = [name for name in device.entries() if "+" not in name]
        entry = f"{oldest.lower()}@factory-reset"
        trial.note(f"the entry {entry}")
        # Attributes (kept, for boot and run time), then text.
        content = b"\7\0\0\0" + f"{entry}\0".encode("utf-16-le")
        escaped = "".join(f"\\{byte:03o}" for byte in content)
        device.run(f"printf '{escaped}' >{_ONESHOT}")
        device.reboot()

    _reset(trial, device, ask)


def by_credential(trial: Trial, device: Device) -> None:
    """A credential resets once, however long the machine has it."""

    def ask(machine: str) -> None:
        device.cut_power()
        # Another one at each reset.
        device.give(RESET_OPTION, machine)
        device.start()

    _reset(trial, device, ask)


def _reset(trial: Trial, device: Device, ask: Callable[[str], None]) -> None:
    """`ask` is given the machine's id, and returns when the reset is done."""
    version = device.version()
    before = device.run("cat /etc/machine-id")
    disk = trial.image().disk
    places = {
        f"{place}/osloom-trial": disk.partition[name].keep for name, place in mounts(disk).items()
    }
    kept = [place for place, is_kept in places.items() if is_kept]
    written = [_MARK, "/etc/osloom-trial", *(place for place in places if place not in kept)]
    device.run(f"for file in {' '.join([*written, *kept])}; do echo {before} >$file; done; sync")
    trial.note("reset to the factory's state")
    ask(before)
    device.check(device.version() == version, f"version {device.version()} runs, not {version}")
    left = device.run(f"ls -d {' '.join([*written, *kept])} 2>/dev/null || true").split()
    device.check(left == kept, f"of what was written there is {left}, not {kept}")
    after = device.run("cat /etc/machine-id")
    device.check(after != before, "the machine still has its id")
    changes = _changes(device.first_state, state(device))
    device.check(not changes, "it is not what a first boot has made", changes)
    device.run(f"echo kept >{_MARK}; sync")
    device.reboot()
    mark = device.run(f"cat {_MARK} || true")
    device.check(mark == "kept", "the next boot was a reset once more")


def _changes(first: str, now: str) -> str:
    lines = difflib.unified_diff(
        first.splitlines(), now.splitlines(), "first boot", "now", lineterm="", n=0
    )
    return "\n".join(lines)
