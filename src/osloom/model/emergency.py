"""A boot that ends in emergency mode begins anew by itself: nobody is there to do it.

The same in the initrd and in the system; systemd.special(7).
"""

from collections.abc import Mapping

_UNITS = "usr/lib/systemd/system"
_PAUSE = "5min"
"""For what is slow to become ready, and for who reads the console."""

RESTART_NOTE = f"osloom: this boot has failed, the next one begins in {_PAUSE}"
"""What the console says."""


def emergency_units() -> Mapping[str, str]:
    """Units and drop-ins, by path. Who is at work there stops `osloom-restart.timer`."""
    return {
        f"{_UNITS}/emergency.target.d/osloom.conf": "[Unit]\nWants=osloom-restart.timer\n",
        f"{_UNITS}/emergency.service.d/restart.conf": (
            f"[Service]\nExecStartPre=-/bin/sh -c 'echo \"<2>{RESTART_NOTE}\" >/dev/kmsg'\n"
        ),
        # Who leaves emergency mode goes on with the boot.
        f"{_UNITS}/osloom-restart.timer": f"""\
[Unit]
Description=Time until a boot that has failed begins anew
DefaultDependencies=no
PartOf=emergency.target

[Timer]
OnActiveSec={_PAUSE}
""",
        f"{_UNITS}/osloom-restart.service": """\
[Unit]
Description=Begin a boot that has failed anew
DefaultDependencies=no

[Service]
Type=oneshot
ExecStart=systemctl reboot --force
""",
    }
