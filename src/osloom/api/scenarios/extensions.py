"""The scenario of extensions that a device takes from the channel."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from osloom.api.scenarios.device import Device
from osloom.api.scenarios.trial import Trial
from osloom.model.definition import Image

_FIRST = 101
"""Far from the versions of the system: the two are counted apart."""


def extension(trial: Trial, device: Device) -> None:
    """Each extension is fetched, merged and replaced by a newer one, over a reboot too.

    One that is for another system, and one that nobody has signed, leave it as it is.
    """
    for number in (_FIRST, _FIRST + 1):
        _publish(trial, device, number)
        _check_merged(trial, device, number, number)
    good = _FIRST + 1
    trial.note("extensions for another system")
    _publish(trial, device, good + 1, fits=False)
    _check_merged(trial, device, good, good + 1)
    device.reboot()
    _check_merged(trial, device, good, good + 1)
    trial.note("extensions that nobody has signed")
    _publish(trial, device, good + 2, signed=False)
    _check_merged(trial, device, good, good + 2)
    state = device.reboot()
    device.check(state == "running", f"the system is `{state}`")
    _check_merged(trial, device, good, good + 2)
    _publish(trial, device, good + 3)
    _check_merged(trial, device, good + 3, good + 3)
    # With a confext nobody could write to /etc any more.
    device.run("systemd-sysext unmerge; systemd-confext unmerge")
    device.run("rm -f /var/lib/extensions/*.v/* /var/lib/confexts/*.v/* /run/osloom/*ext.*")


def _publish(
    trial: Trial, device: Device, number: int, *, fits: bool = True, signed: bool = True
) -> None:
    """Have the device fetch version `number` of every extension."""

    def change(image: Image) -> Image:
        level = image.extension.level if fits else "of-another-system"
        other = msgspec.structs.replace(image.extension, level=level)
        return msgspec.structs.replace(image, extension=other)

    for name in trial.image().update.extensions:
        trial.publish_extension(name, number, change, signed=signed)
        device.run(f"systemctl start osloom-update@{name}.service", timeout=900)


def _check_merged(trial: Trial, device: Device, merged: int, newest: int) -> None:
    """Every extension is there in two versions at most, and the right one of them is merged."""
    device.run("! systemctl is-failed osloom-extensions.service")
    found: list[Mapping[str, Any]] = json.loads(device.run("osloom-status"))["extensions"]
    wanted = {
        (name, kind)
        for name in trial.image().update.extensions
        for kind in trial.session.project.image(name).outputs
    }
    there = {(one["name"], one["kind"]) for one in found}
    device.check(wanted == there, f"the device has {there}, not {wanted}")
    said = device.run("journalctl -b -o cat -n 60 -u 'osloom-*' -u 'systemd-*ext.service'")
    for one in found:
        own, versions = f"{one['kind']} {one['name']}", one["versions"]
        is_newest = versions[:1] == [str(newest)]
        device.check(is_newest, f"of the {own} there is {versions}, not {newest}", said)
        device.check(len(versions) <= 2, f"of the {own} there is {', '.join(versions)}")
        right = one["merged"] == str(merged)
        device.check(right, f"of the {own} {one['merged']} is merged, not {merged}", said)
