"""Start a service in a machine although nothing is put into its image.

The virtual hardware holds one credential of systemd, `tmpfiles.extra`
(systemd.system-credentials(7), since systemd 252): lines of tmpfiles.d(5) that write a script and
a unit below /run. systemd-tmpfiles reads them in the initrd already. /run outlives the initrd,
and the system manager that takes over reads its units anew: it finds the unit as one of its own.
(`systemd.extra-unit.*` would say the same with fewer words, but only since systemd 256.)
"""

import base64
from collections.abc import Mapping, Sequence

_UNITS = "/run/systemd/system"


def service_credentials(
    name: str, *, unit: str, script: str, masked: Sequence[str] = ()
) -> Mapping[str, str]:
    """For a service that runs `script` with sh when the machine is up.

    `unit` gets the line that runs it at its end, which has to be in the section [Service]; the
    units `masked` do not start.
    """
    place = f"/run/{name}"
    files = {
        place: script,
        f"{_UNITS}/{name}.service": f"{unit}ExecStart=/bin/sh {place}\n",
        f"{_UNITS}/multi-user.target.d/{name}.conf": f"[Unit]\nWants={name}.service\n",
    }
    # `~`: the content is in base64, where nothing has to be escaped; tmpfiles.d(5).
    lines = [
        f"f~ {path} 0644 root root - {base64.b64encode(text.encode()).decode()}\n"
        for path, text in files.items()
    ]
    lines += [f"L {_UNITS}/{one} - - - - /dev/null\n" for one in masked]
    return {"tmpfiles.extra": "".join(lines)}
