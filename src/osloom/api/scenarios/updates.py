"""Scenarios of updates: one that works, and versions that do not."""

import json

import msgspec

from osloom.api.scenarios.device import Device
from osloom.api.scenarios.trial import TRIES, Change, Trial
from osloom.model.definition import File, Image
from osloom.model.size import MIB
from osloom.model.update import Health

_MARK = "/var/lib/osloom-trial"
_CHANGED = "/etc/hostname"
_CHANGED_NIXOS = "/etc/osloom-changed"
"""NixOS makes links of its own files in /etc at every boot."""
_UNITS = "/usr/lib/systemd/system"
_UNITS_NIXOS = "/etc/systemd/system.attached"
_LAST_UPDATE = "/var/lib/osloom/last-update"
_LEAST = 5
"""Of a version in which only its number is new at most one part of so many is fetched."""
_FETCH = 300
"""Seconds that an update may take until it is on the disk."""
_BOOTS = 6
"""More than any scenario needs."""


def update(trial: Trial, device: Device) -> None:
    """A newer version is fetched, started and found good; data stay."""
    before = device.version()
    _change_data(trial, device)
    version = trial.publish()
    trial.note(f"the device updates itself from {before} to {version}")
    device.update()
    running = device.settled(boots=_BOOTS)
    device.check(running == version, f"version {running} runs, not {version}")
    _check_data(trial, device)
    entries = device.entries()
    wanted = [f"{trial.id}_{one}.efi" for one in sorted((before, version))]
    device.check(entries == sorted(wanted), f"the ESP holds {', '.join(entries)}")
    _, fetched, whole = (int(word) for word in device.run(f"cat {_LAST_UPDATE}").split())
    trial.note(f"{fetched / MIB:.1f} MiB of {whole / MIB:.1f} were fetched")
    device.check(fetched < whole // _LEAST, f"{fetched} bytes of {whole} were fetched")


def window(trial: Trial, device: Device) -> None:
    """A newer version that was fetched is started in the maintenance window, and not before."""
    before = trial.publish(_with_window)
    device.update()
    running = device.settled(boots=_BOOTS)
    device.check(running == before, f"version {running} runs, not {before}")
    version = trial.publish(_with_window)
    trial.note(f"the device fetches {version}, and waits")
    device.run("systemctl stop osloom-reboot.timer")
    boot = device.boot()
    device.run("systemctl start osloom-update.service", timeout=_FETCH)
    device.run("systemctl stop osloom-reboot.timer; sleep 5")
    device.check(device.boot() == boot, "the device was started anew before its window")
    waiting = json.loads(device.run("osloom-status"))["update"]["waiting"]
    device.check(waiting == str(version), f"version {waiting} waits, not {version}")
    trial.note("the window begins")
    device.send("systemctl start --no-block osloom-reboot.timer")
    running = device.settled(boots=_BOOTS)
    device.check(running == version, f"version {running} runs, not {version}")


def _with_window(image: Image) -> Image:
    every_minute = msgspec.structs.replace(image.update, reboot="*:*")
    return msgspec.structs.replace(image, update=every_minute)


def broken_panic(trial: Trial, device: Device) -> None:
    """A version whose kernel panics is left for the one before."""
    change = _with_unit("echo c >/proc/sysrq-trigger")
    _broken(trial, device, change, "Rebooting in 10 seconds")


def broken_health(trial: Trial, device: Device) -> None:
    """A version that fails a health check is left for the one before."""

    def change(image: Image) -> Image:
        bad = Health(run="echo this version is ill; exit 1", timeout=5)
        return msgspec.structs.replace(image, health=(*image.health, bad))

    _broken(trial, device, change, "osloom: this boot of a new version has failed")


def broken_hang(trial: Trial, device: Device) -> None:
    """A version that hangs is reset by the watchdog, and left for the one before."""

    def change(image: Image) -> Image:
        # A kernel that has panicked and does not reboot does nothing at all any more.
        stop = "echo 0 >/proc/sys/kernel/panic; echo c >/proc/sysrq-trigger"
        hung = _with_unit(stop)(image)
        soon = msgspec.structs.replace(hung.update, watchdog="20s")
        return msgspec.structs.replace(hung, update=soon)

    _broken(trial, device, change, "end Kernel panic - not syncing")


def broken_init(trial: Trial, device: Device) -> None:
    """A version whose first process crashes is left for the one before."""

    def change(image: Image) -> Image:
        crashing = _with_unit("kill -ABRT 1")(image)
        # Its last words are for the journal, which never gets them.
        words = (*crashing.kernel_command_line, "systemd.log_target=kmsg")
        return msgspec.structs.replace(crashing, kernel_command_line=words)

    _broken(trial, device, change, "systemd[1]: Caught <ABRT>")


def _broken(trial: Trial, device: Device, change: Change, said: str) -> None:
    """A version made with `change` is tried, given up, and not tried again.

    `said` is what the console shows of each of its boots, so that it failed for no other reason.
    """
    before = device.console().count(said)
    good = device.version()
    _change_data(trial, device)
    bad = trial.publish(change)
    trial.note(f"the device updates itself from {good} to the broken {bad}")
    device.update()
    running = device.settled(boots=_BOOTS)
    device.check(running == good, f"version {running} runs, not {good}")
    _check_data(trial, device)
    count = device.console().count(said) - before
    device.check(count >= TRIES, f"the console says `{said}` {count} times, not {TRIES}")
    entries = device.entries()
    tried = [name for name in entries if name.startswith(f"{trial.id}_{bad}+0-")]
    device.check(tried, f"version {bad} was not tried until its end: {', '.join(entries)}")
    boot = device.boot()
    device.run("systemctl start osloom-update.service", timeout=_FETCH)
    device.run("sleep 5")
    same = device.boot() == boot
    device.check(same, f"version {bad} was tried again")


def _changed(trial: Trial) -> str:
    """A file of /etc that the device changes."""
    return _CHANGED if trial.image().nixos is None else _CHANGED_NIXOS


def _change_data(trial: Trial, device: Device) -> None:
    path = _changed(trial)
    device.run(f"echo kept >{_MARK}; echo changed-$(cat {path} 2>/dev/null) >{path}; sync")


def _check_data(trial: Trial, device: Device) -> None:
    data = device.run(f"cat {_MARK}")
    device.check(data == "kept", f"{_MARK} holds `{data}`")
    path = _changed(trial)
    changed = device.run(f"cat {path}")
    device.check(changed.startswith("changed-"), f"{path} is `{changed}` again")


def _with_unit(command: str) -> Change:
    """The image with a unit that runs `command` when the system is nearly up."""
    name = "osloom-trial.service"
    text = f"[Service]\nType=oneshot\nExecStart=/bin/sh -c '{command}'\n"

    def change(image: Image) -> Image:
        units = _UNITS if image.nixos is None else _UNITS_NIXOS
        files = {
            f"{units}/{name}": File(text=text),
            f"{units}/multi-user.target.wants/{name}": File(link=f"../{name}"),
        }
        return msgspec.structs.replace(image, files={**image.files, **files})

    return change
