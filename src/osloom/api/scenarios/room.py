"""Scenarios of too little room: a disk without it for what a device needs, a slot for a version."""

from osloom.api.scenarios.device import Device
from osloom.api.scenarios.trial import Trial
from osloom.model.appliance import least_disk_size, made_size
from osloom.model.emergency import RESTART_NOTE
from osloom.model.size import MIB

_UP = "Multi-User System"


def too_small(trial: Trial, _device: Device) -> None:
    """A device whose disk is cut off, or has no room for data, says so on its console and begins anew."""
    appliance = trial.appliance()
    written = made_size(appliance)
    _says_so(trial, "ends within the second slot", written - appliance.slot_size // 2 // MIB * MIB)
    _says_so(trial, "has no room for data", written, RESTART_NOTE, "reboot: Restarting system")


def _says_so(trial: Trial, what: str, size: int, *later: str) -> None:
    """The console of a device with a disk of `size` bytes tells the numbers, and what comes later."""
    trial.note(f"a disk that {what}")
    needed = least_disk_size(trial.appliance()) // MIB
    with trial.device(size=size) as device:
        device.power_on()
        device.says(f"it has {size // MIB} MiB, and this system needs {needed} MiB")
        for text in later:
            device.says(text)
        device.check(_UP not in device.console(), "it has started nevertheless")
