"""The console of a container as the console of the machine that holds it."""

from collections.abc import Mapping

from osloom.run.service import service_credentials

# Ends the machine however the container ended; with the console it is all that the machine does.
_UNIT = """\
[Unit]
Description=osloom container console
After=multi-user.target
SuccessAction=poweroff-force
FailureAction=poweroff-force

[Service]
Type=exec
Environment=HOME=/root
StandardInput=tty-force
TTYPath=/dev/console
"""

# As systemd-nspawn@.service has it, but for the console, which the kernel must leave alone.
_NSPAWN = """
dmesg --console-level emerg
exec systemd-nspawn --quiet --boot --machine=image --private-users=pick --network-veth \\
    --link-journal=try-guest --settings=override
"""


def credentials(importing: str) -> Mapping[str, str]:
    """For a machine that imports its container `image` and boots it on its own console."""
    script = f"set -e\n{importing}\n{_NSPAWN}"
    return service_credentials("osloom-console", unit=_UNIT, script=script, masked=["getty.target"])
