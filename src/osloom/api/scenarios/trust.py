"""Scenarios of what a device trusts: its firmware the UKIs that it starts, its TPM those it opens data for."""

import time

import msgspec

from osloom.api.scenarios.device import Device
from osloom.api.scenarios.trial import Trial
from osloom.base.errors import BuildError
from osloom.model.definition import Image

_SECURE_BOOT = "od -An -tu1 -j4 /sys/firmware/efi/efivars/SecureBoot-*"
_PATIENCE = 150
"""Seconds after which a machine that its firmware does not start is switched off."""


def secure_boot(trial: Trial, device: Device) -> None:
    """With keys of its own the firmware starts what they signed, and nothing else."""
    good = device.version()
    device.check(device.run(_SECURE_BOOT) == "1", "the firmware checks no signatures")
    altered = f"{trial.id}_{trial.newest + 1000}+2.efi"
    trial.note("a UKI of which a byte is another")
    device.run(f"""
        for directory in /efi /boot; do test -d $directory/EFI/Linux && cd $directory/EFI/Linux; done
        cp {trial.id}_{good}*.efi {altered}
        printf x | dd of={altered} bs=1 seek=20000000 conv=notrunc,fsync status=none
        sync
    """)
    _returns(trial, device, good)
    device.run(
        f"rm -f /efi/EFI/Linux/{trial.id}_{trial.newest + 1000}+* "
        f"/boot/EFI/Linux/{trial.id}_{trial.newest + 1000}+*"
    )
    version = trial.publish(signed=False)
    trial.note(f"version {version}, whose UKI nobody signed")
    device.update()
    time.sleep(_PATIENCE)
    _returns(trial, device, good)


def sealed(trial: Trial, device: Device) -> None:
    """Data are opened by the TPM for a UKI that was signed, and for no other."""
    good = device.version()
    kind = device.run("lsblk -nro TYPE $(findmnt -nro SOURCE /var)")
    device.check(kind == "crypt", f"/var is on a `{kind}`, not encrypted")
    device.reboot()
    device.check(device.version() == good, f"version {device.version()} runs, not {good}")

    def soon(image: Image) -> Image:
        update = msgspec.structs.replace(image.update, deadline="4min")
        return msgspec.structs.replace(image, update=update)

    version = trial.publish(soon, signed=False)
    trial.note(f"version {version}, whose UKI nobody signed")
    device.update()
    running = device.settled(boots=3)
    device.check(
        running == good, f"version {running} runs, not {good}: the data were opened for it"
    )
    tried = [name for name in device.entries() if name.startswith(f"{trial.id}_{version}+0-")]
    device.check(tried, f"version {version} was not tried")


def _returns(trial: Trial, device: Device, good: int) -> None:
    """Switch it off and on until it starts the good version; it may need as many boots as tries."""
    for _ in range(3):
        device.cut_power()
        device.power_on()
        try:
            running = device.settled(boots=1, patience=2 * _PATIENCE)
        except BuildError:
            trial.note("it does not start")
            continue
        device.check(running == good, f"version {running} runs, not {good}")
        return
    device.check(condition=False, message=f"version {good} does not start any more")
