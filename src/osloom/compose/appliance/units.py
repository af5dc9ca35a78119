"""What runs on an appliance for itself: health checks, updates, resets; systemd's own where it has one.

A boot is on trial while systemd-boot counts it: the firmware then holds the variable
LoaderBootCountPath, systemd-bless-boot.service(8). Only then does a failure start the device anew.
"""

from collections.abc import Mapping
from pathlib import Path

from osloom.compose.appliance.update import escaped
from osloom.model.appliance import Appliance

_DATA = Path(__file__).parent / "data"
_SYSTEM = "usr/lib/systemd/system"
_LIBRARY = "usr/lib/osloom"


def status_program() -> str:
    """What prints the state of the device as JSON, as a shell program."""
    return (_DATA / "osloom-status").read_text()


def programs() -> Mapping[str, str]:
    """Shell programs, by their paths in the image."""
    return {"usr/bin/osloom-status": status_program()} | {
        f"{_LIBRARY}/{path.name.removesuffix('.sh')}": path.read_text()
        for path in sorted(_DATA.glob("*.sh"))
    }


def units(appliance: Appliance) -> Mapping[str, str]:
    """Units and drop-ins, by their paths in the image."""
    update = appliance.update
    made = {
        "boot-complete.target.d/osloom.conf": f"""\
[Unit]
OnFailure=osloom-failed-boot.service
JobTimeoutSec={update.deadline}
""",
        "osloom-failed-boot.service": _service(
            "Give this version up for now", f"/{_LIBRARY}/failed-boot", "DefaultDependencies=no"
        ),
        "systemd-bless-boot.service.d/osloom.conf": "[Service]\nExecStartPost=touch /run/osloom-good\n",
        "emergency.service.d/osloom.conf": f"[Service]\nExecStartPre=-/{_LIBRARY}/failed-boot\n",
        "osloom-factory-reset.service": _service(
            "Reset to the factory's state at the next boot",
            f"/{_LIBRARY}/factory-reset",
            "DefaultDependencies=no",
            "Before=factory-reset.target",
        ),
    }
    if appliance.disk.data.encryption == "tpm2":
        made["osloom-recovery-key.service"] = _service(
            "Show a recovery key for the data of this device, once",
            f"/{_LIBRARY}/recovery-key {appliance.data_id}",
            "ConditionPathExists=!/var/lib/osloom/recovery-key-shown",
        )
    for number, one in enumerate(appliance.health, 1):
        text = _service(
            f"Health check {one.name or number}",
            f"/{_LIBRARY}/health {one.timeout} /{_LIBRARY}/health.d/{number}",
            "After=multi-user.target default.target",
            "Before=boot-complete.target",
            settings=f"TimeoutStartSec={one.timeout + 30}\n",
        )
        made[f"osloom-health-{number}.service"] = text
    if update.url is not None:
        made |= _update_units(appliance)
    return {f"{_SYSTEM}/{name}": text for name, text in made.items()}


def _update_units(appliance: Appliance) -> Mapping[str, str]:
    update = appliance.update
    assert update.url is not None
    reboot = f"ExecStart=/{_LIBRARY}/start-new-version {appliance.id}\n"
    made = {
        "osloom-update.service": f"""\
[Unit]
Description=Fetch a newer version of this system
Documentation=man:systemd-sysupdate(8)
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
ExecStart=:/{_LIBRARY}/update {escaped(update.url)}
{reboot if update.reboot == "now" else ""}\
TimeoutStartSec=6h
Nice=10
IOSchedulingClass=idle
""",
        "osloom-update.timer": f"""\
[Unit]
Description=Look for a newer version of this system

[Timer]
OnBootSec=5min
OnUnitInactiveSec={update.interval}
RandomizedDelaySec={update.random_delay}
""",
    }
    if update.reboot not in ("now", "never"):
        made["osloom-reboot.service"] = _service(
            "Start a newer version that was fetched",
            f"/{_LIBRARY}/start-new-version {appliance.id}",
        )
        made["osloom-reboot.timer"] = f"""\
[Unit]
Description=Maintenance window

[Timer]
OnCalendar={update.reboot}
"""
    return made


def wanted(appliance: Appliance) -> Mapping[str, str]:
    """Symbolic links that enable units, and where they point."""
    links = {
        "factory-reset.target.wants/osloom-factory-reset.service": "osloom-factory-reset.service",
        "boot-complete.target.requires/systemd-boot-check-no-failures.service": (
            "systemd-boot-check-no-failures.service"
        ),
    }
    if appliance.disk.data.encryption == "tpm2":
        links["multi-user.target.wants/osloom-recovery-key.service"] = "osloom-recovery-key.service"
    for number, _ in enumerate(appliance.health, 1):
        unit = f"osloom-health-{number}.service"
        links[f"boot-complete.target.requires/{unit}"] = unit
    if appliance.update.url is not None:
        links["timers.target.wants/osloom-update.timer"] = "osloom-update.timer"
        if appliance.update.reboot not in ("now", "never"):
            links["timers.target.wants/osloom-reboot.timer"] = "osloom-reboot.timer"
    return {f"{_SYSTEM}/{place}": f"../{unit}" for place, unit in links.items()}


def health_scripts(appliance: Appliance) -> Mapping[str, str]:
    """The definition's checks as shell programs, by their paths in the image."""
    return {
        f"{_LIBRARY}/health.d/{number}": one.run
        if one.run.startswith("#!")
        else f"#!/bin/sh\nset -e\n{one.run.rstrip()}\n"
        for number, one in enumerate(appliance.health, 1)
    }


def _service(description: str, program: str, *unit: str, settings: str = "") -> str:
    lines = [f"Description={description}", *unit]
    text = "".join(f"{line}\n" for line in lines)
    return f"[Unit]\n{text}\n[Service]\nType=oneshot\nExecStart={program}\n{settings}"
