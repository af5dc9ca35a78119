"""Scenarios of what happens to a device: power cuts, damaged disks, data that fill it."""

import random  # noqa: TID251  (moments, of nothing that is built)
import time

from osloom.api.scenarios.device import Device
from osloom.api.scenarios.trial import Trial

_CUTS = 20
_UPDATES = 30
_FILL = """
fallocate -l $(df -B1 --output=avail /var | tail -n 1) /var/full || true
# What is kept for root, too.
dd if=/dev/zero of=/var/rest bs=64k || true
sync
"""
_READ_ROOT = r"""
for directory in /sys/block/dm-*; do
    test "$(cat $directory/dm/name)" = root && cat /dev/${directory##*/} >/dev/null && exit 0
done
exit 1
"""
"""Reads every block of the verified root."""
_FLIP = r"""
device=$(readlink -f /dev/disk/by-partuuid/$(sed -n 's/.*roothash=\(........\)\(....\)\(....\)\(....\)\(............\).*/\1-\2-\3-\4-\5/p' /proc/cmdline))
place=$((20 * 1024 * 1024 + 100))
byte=$(dd if="$device" bs=1 skip=$place count=1 status=none | od -An -tu1)
flip() { printf "$(printf '\\%03o' "$1")" | dd of="$device" bs=1 seek=$place conv=notrunc,fsync status=none; }
"""


def power_cuts(trial: Trial, device: Device) -> None:
    """Power is cut at random moments of updates: a whole version always boots."""
    # Not secret: the same moments each time, as far as the machine is as fast.
    moments = random.Random(trial.name)
    good, version = device.version(), trial.publish()
    start = time.monotonic()
    _updated(device, version)
    length = time.monotonic() - start
    trial.note(f"an update takes {length:.0f} s, and a boot to be good")
    good, version = version, trial.publish()
    cut_short = 0
    for number in range(1, _CUTS + 1):
        device.update()
        seconds = moments.uniform(0, length)
        time.sleep(seconds)
        device.cut_power()
        device.power_on()
        running = device.settled(boots=3)
        device.check(running in (good, version), f"version {running} runs")
        device.run(_READ_ROOT, timeout=600)
        trial.note(
            f"cut {number} of {_CUTS}, after {seconds:.1f} s of the update from {good} to "
            f"{version}: version {running} runs"
        )
        if running == version:
            good, version = version, trial.publish()
        else:
            cut_short += 1
    device.check(cut_short, "every update was whole before its power was cut")
    _updated(device, version)


def _updated(device: Device, version: int) -> None:
    device.update()
    running = device.settled(boots=3)
    device.check(running == version, f"version {running} runs, not {version}")


def flipped_bit(_trial: Trial, device: Device) -> None:
    """A bit of the root partition is another: reading it fails, instead of giving what it is not."""
    device.run(f"{_FLIP}\nflip $((byte ^ 1)); echo 3 >/proc/sys/vm/drop_caches")
    status, _ = device.try_(_READ_ROOT, timeout=600)
    said = device.run("journalctl -k -b -o cat --no-pager | grep 'verity.*corrupted' || true")
    device.run(f"{_FLIP}\nflip $((byte ^ 1)); echo 3 >/proc/sys/vm/drop_caches")
    device.check(status != 0, "what was changed on the disk was read as if it had to be so")
    device.check("corrupted" in said, "the kernel does not say what is corrupted")
    device.run(_READ_ROOT, timeout=600)


def full_data(trial: Trial, device: Device) -> None:
    """The data partition is full: the device starts, and can still be updated."""
    device.run(_FILL, timeout=600)
    state = device.reboot()
    device.check(state == "running", f"with full data the system is `{state}`")
    device.check(_is_full(device), "the data partition is not full after a boot")
    version = trial.publish()
    trial.note(f"the device, whose data are full, updates itself to {version}")
    _updated(device, version)
    device.check(_is_full(device), "the data partition is not full any more")
    device.run("rm -f /var/full /var/rest")


def _is_full(device: Device) -> bool:
    """Whether root itself can write no more to it."""
    status, _ = device.try_("dd if=/dev/zero of=/var/one bs=1M count=1 conv=fsync")
    device.run("rm -f /var/one")
    return status != 0


def many(trial: Trial, device: Device) -> None:
    """Thirty updates in a row: there are never more than two versions."""
    before = device.version()
    parts = 3 if trial.appliance().signed else 2
    for _ in range(_UPDATES):
        version = trial.publish()
        _updated(device, version)
        labels = device.run("lsblk -nro PARTLABEL").split()
        slots = sorted(one for one in labels if one.startswith(trial.id))
        wanted = [f"{trial.id}_{one}" for one in (before, version)]
        device.check(slots == sorted(parts * wanted), f"the slots hold {', '.join(slots)}")
        entries = device.entries()
        ukis = sorted(f"{one}.efi" for one in wanted)
        device.check(entries == ukis, f"the ESP holds {', '.join(entries)}")
        trial.note(f"the device has {before} and {version}")
        before = version
