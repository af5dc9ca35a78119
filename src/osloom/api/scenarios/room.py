"""Scenarios of too little room: a disk without it for what a device needs, a slot for a version."""

from osloom.api.scenarios.device import Device
from osloom.api.scenarios.trial import Trial
from osloom.model.appliance import least_disk_size, made_size
from osloom.model.size import MIB


def too_small(trial: Trial, _device: Device) -> None:
    """A device whose disk is cut off, or has no room for data, says so on its console and stops."""
    appliance = trial.appliance()
    written = made_size(appliance)
    sizes = {
        "ends within the second slot": written - appliance.slot_size // 2 // MIB * MIB,
        "has no room for data": written,
    }
    for what, size in sizes.items():
        trial.note(f"a disk that {what}")
        with trial.device(size=size) as small:
            small.power_on()
            needed = f"it has {size // MIB} MiB, and this system needs {least_disk_size(appliance) // MIB} MiB"
            small.says(needed)
            small.says("emergency mode")
            state = "Multi-User System"
            small.check(state not in small.console(), "it has started nevertheless")
