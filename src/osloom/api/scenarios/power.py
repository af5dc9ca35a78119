"""Scenarios of what happens to a device: power cuts, damaged disks, data that fill it."""

import random  # noqa: TID251  (moments, of nothing that is built)
import time

from osloom.api.scenarios.device import Device
from osloom.api.scenarios.trial import Trial

_CUTS = 4
_LONGEST = 30.0
"""Seconds that an update takes at most before its power is cut."""
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
    """Power is cut at random moments of an update: a whole version always boots."""
    # Not secret: the same moments each time, as far as the machine is as fast.
    moments = random.Random(trial.name)
    good = device.version()
    version = trial.publish()
    for number in range(1, _CUTS + 1):
        device.run("systemctl start --no-block osloom-update.service")
        seconds = moments.uniform(0.5, _LONGEST)
        trial.note(f"cut {number} of {_CUTS}: after {seconds:.1f} s of the update to {version}")
        time.sleep(seconds)
        device.cut_power()
        device.power_on()
        running = device.settled(boots=3)
        device.check(running in (good, version), f"version {running} runs")
        device.run(_READ_ROOT, timeout=600)
        if running == version:
            good, version = version, trial.publish()
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
    device.run("fallocate -l $(df -B1 --output=avail /var | tail -n 1) /var/full || true; sync")
    device.run("dd if=/dev/zero of=/var/rest bs=64k 2>/dev/null; sync; true", timeout=300)
    device.reboot()
    device.run("test $(df -B1 --output=avail /var | tail -n 1) -lt 1000000")
    version = trial.publish()
    device.update()
    running = device.settled(boots=3)
    device.run("rm -f /var/full /var/rest")
    device.check(running == version, f"version {running} runs, not {version}")


def many(trial: Trial, device: Device) -> None:
    """Thirty updates in a row: there are never more than two versions."""
    for _ in range(30):
        version = trial.publish()
        device.update()
        running = device.settled(boots=3)
        device.check(running == version, f"version {running} runs, not {version}")
        entries = device.entries()
        device.check(len(entries) <= 2, f"the ESP holds {', '.join(entries)}")
        labels = device.run("lsblk -no PARTLABEL /dev/vda").split()
        slots = sorted(one for one in labels if one.startswith(trial.id))
        wanted = sorted(2 * [f"{trial.id}_{one}" for one in (version - 1, version)])
        device.check(slots == wanted, f"the slots hold {', '.join(slots)}")
