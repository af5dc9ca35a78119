"""Appliances: a disk of an unchanged root, the release of a second version, sizes."""

import tempfile
from pathlib import Path

from measure import USED, Measured, Osloom, copied, spread, timed

_APPLIANCE = """
[project]
name = "bench"
version = "{version}"
[keys]
directory = "keys"
[release]
to = "{channel}"
[image.minimal]
packages = {packages}
outputs = ["disk"]
[image.minimal.disk]
layout = "appliance"
slot-size = "256M"
esp-size = "{esp}"
[image.minimal.update]
url = "https://updates.example.com/minimal/"
[image.minimal.systemd]
enable = ["systemd-networkd"]
"""
_PACKAGES = '["linux-image-cloud-amd64", "systemd-resolved"]'
_MORE = '["linux-image-cloud-amd64", "systemd-resolved", "less"]'
_MIB = 1 << 20


def _define(
    osloom: Osloom, channel: Path, *, version: int = 1, more: bool = False, esp: str = "256M"
) -> None:
    packages = _MORE if more else _PACKAGES
    osloom.define(_APPLIANCE.format(channel=channel, version=version, packages=packages, esp=esp))
    if not (osloom.place / "keys").exists():
        osloom("keys", "new")


def measure_settings(osloom: Osloom, place: Path, runs: int) -> Measured:
    """Another size of the ESP each time."""
    times = []
    for number in range(runs + 1):
        _define(osloom, place / "channel", esp=f"{256 + number}M")
        if number == 0:
            osloom("lock")
            osloom("build")
        else:
            times.append(timed(lambda: osloom("build")))
    return Measured("appliance: settings of the disk changed", "at most 3 s", spread(times), "raw")


def measure_release(osloom: Osloom, place: Path, runs: int) -> Measured:
    """A release of a second version with one package more, beside the whole build of the first:
    from an empty store, and from one that has the packages and the tools."""
    _define(osloom, place / "channel", more=True)
    osloom("lock")
    osloom("build")
    seeded = osloom.downloaded(place / "seeded-appliance")
    used = place / USED
    used.mkdir(exist_ok=True)
    whole, downloaded, times, sent = [], [], [], 0
    for _ in range(runs):
        empty = Path(tempfile.mkdtemp(dir=used))
        for ratios, fresh in ((whole, empty), (downloaded, copied(seeded))):
            channel = Path(tempfile.mkdtemp(dir=used))
            _define(osloom, channel)
            osloom("lock")
            first = timed(lambda fresh=fresh: osloom("release", store=fresh), fresh)
            _define(osloom, channel, version=2, more=True)
            osloom("lock")
            second = timed(lambda fresh=fresh: osloom("release", store=fresh))
            ratios.append(second / first)
            times.append((first, second))
            fetched = [*(channel / "minimal").glob("*_2_*"), *(channel / "minimal").glob("*_2.efi")]
            sent = sum(path.stat().st_size for path in fetched)
    firsts, seconds = zip(*times[::2], strict=True)
    return Measured(
        "appliance: version 2 with one package more, released, beside the whole of version 1",
        "at most 0.25 of it",
        spread(whole, "of it"),
        f"the first from an empty store {spread(firsts)}, the second {spread(seconds)}; from one "
        f"that had all packages {spread(downloaded, 'of the first')}; "
        f"all files that a device may fetch have {sent / _MIB:.0f} MiB",
    )


def measure_sizes(osloom: Osloom, place: Path) -> Measured:
    """What of the first release is how large."""
    channel = place / "channel-sizes"
    _define(osloom, channel)
    osloom("lock")
    osloom("release")
    (root,) = (channel / "minimal").glob("*.root")
    (disk,) = (channel / "minimal").glob("*.raw.zst")
    return Measured(
        "appliance: minimal, compressed disk and root",
        "at most 120 MB and 200 MB",
        f"{disk.stat().st_size / 1e6:.0f} MB and {root.stat().st_size / 1e6:.0f} MB",
        "network, signed updates, no SSH",
    )
