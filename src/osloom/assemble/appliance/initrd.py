"""What an appliance's initrd has beside that of other images: how /etc is put together, and resets."""

from collections.abc import Mapping
from pathlib import Path

from osloom.model.appliance import ETC, Appliance

PACKAGES = ("systemd-cryptsetup", "systemd-repart")
"""What finds a verified root, and what makes the data partition."""
WATCHDOGS = "drivers/watchdog/(i6300esb|iTCO|sp5100|wdat)"
"""Modules, as EARLY of `assemble.kernel` has them."""
_UNITS = "usr/lib/systemd/system"
_DATA = Path(__file__).parent / "data"


def initrd_files(appliance: Appliance) -> Mapping[str, str]:
    """Texts by path; units need not be enabled."""
    upper, work = f"/sysroot/var/{ETC}/upper", f"/sysroot/var/{ETC}/work"
    return {
        # The data partition's own unit is made of fstab(5) by systemd-fstab-generator(8).
        f"{_UNITS}/sysroot-etc.mount": f"""\
[Unit]
Description=/etc as this device has changed it
DefaultDependencies=no
RequiresMountsFor=/sysroot/var
After=initrd-parse-etc.service
Before=initrd-fs.target

[Mount]
What=overlay
Where=/sysroot/etc
Type=overlay
Options=lowerdir=/sysroot/etc,upperdir={upper},workdir={work}
""",
        # Of itself it starts for a separate /usr only; it reads the root's repart.d.
        f"{_UNITS}/systemd-repart.service.d/osloom.conf": (
            "[Unit]\nConditionDirectoryNotEmpty=\nRequires=sysroot.mount\nAfter=sysroot.mount\n"
        ),
        f"{_UNITS}/initrd-fs.target.d/osloom.conf": "[Unit]\nRequires=sysroot-etc.mount\n",
        f"{_UNITS}/emergency.service.d/osloom.conf": (
            "[Service]\nExecStartPre=-/bin/sh /usr/lib/osloom/failed-boot\n"
        ),
        "usr/lib/osloom/failed-boot": (_DATA / "failed-boot.sh").read_text(),
        "usr/lib/systemd/system.conf.d/50-osloom.conf": (
            f"[Manager]\nRuntimeWatchdogSec={appliance.update.watchdog}\n"
        ),
    }
