"""Start a service in a machine although nothing is put into its image.

The virtual hardware holds credentials of systemd, systemd.system-credentials(7). `tmpfiles.extra`
has lines of tmpfiles.d(5) that write a script and a unit below /run, since systemd 252.
systemd-tmpfiles reads them in the initrd already. /run outlives the initrd, and the system manager
that takes over reads its units anew: it finds the unit as one of its own.
That is not so where the initrd hands over to a program that is not systemd, as to the stage 2 of
NixOS: systemd puts its units away then. So `systemd.extra-unit.*` says the same since systemd 256,
and the script is written once more when the system itself reads `tmpfiles.extra`.
"""

import base64
from collections.abc import Mapping, Sequence

_UNITS = "/run/systemd/system"
_WANTED_BY = "multi-user.target"
_NEVER = "[Unit]\nConditionPathExists=!/\n\n[Timer]\nOnBootSec=1\n"
"""A timer that does not start."""
PATH = "export PATH=$PATH:/run/wrappers/bin:/run/current-system/sw/bin\n"
"""Shell text for a service that is not the system's own: NixOS has programs nowhere else, and tells
only its own services so."""


def service_credentials(
    name: str, *, unit: str, script: str, masked: Sequence[str] = ()
) -> Mapping[str, str]:
    """For a service that runs `script` with sh when the machine is up.

    `unit` gets the line that runs it at its end, which has to be in the section [Service]; the
    units `masked` do not start.
    """
    place = f"/run/{name}"
    service, wants = f"{unit}ExecStart=/bin/sh {place}\n", f"[Unit]\nWants={name}.service\n"
    files = {
        place: f"{PATH}{script}",
        f"{_UNITS}/{name}.service": service,
        f"{_UNITS}/{_WANTED_BY}.d/{name}.conf": wants,
    }
    # `~`: the content is in base64, where nothing has to be escaped; tmpfiles.d(5).
    lines = [
        f"f~ {path} 0644 root root - {base64.b64encode(text.encode()).decode()}\n"
        for path, text in files.items()
    ]
    lines += [f"L {_UNITS}/{one} - - - - /dev/null\n" for one in masked]
    return {
        "tmpfiles.extra": "".join(lines),
        f"systemd.extra-unit.{name}.service": service,
        f"systemd.unit-dropin.{_WANTED_BY}": wants,
        # Before units below /etc, where an appliance of NixOS has its own.
        **{f"systemd.extra-unit.{one}": _NEVER for one in masked if one.endswith(".timer")},
    }
