"""Scenarios of what a device trusts: its firmware the UKIs that it starts, its TPM those it opens data for."""

import msgspec

from osloom.api.scenarios.device import Device
from osloom.api.scenarios.trial import TRIES, Trial
from osloom.model.definition import Image

_SECURE_BOOT = "od -An -tu1 -j4 /sys/firmware/efi/efivars/SecureBoot-*"


def secure_boot(trial: Trial, device: Device) -> None:
    """With keys of its own the firmware starts what they signed, and nothing else."""
    good = device.version()
    device.check(device.run(_SECURE_BOOT) == "1", "the firmware checks no signatures")
    altered = trial.newest + 1000
    trial.note("a UKI of which a byte is another")
    device.run(f"""
        for directory in /efi /boot; do test -d $directory/EFI/Linux && cd $directory/EFI/Linux; done
        cp {trial.id}_{good}*.efi {trial.id}_{altered}+{TRIES}.efi
        size=$(stat --format=%s {trial.id}_{altered}+{TRIES}.efi)
        printf x | dd of={trial.id}_{altered}+{TRIES}.efi bs=1 seek=$((size / 2)) conv=notrunc,fsync
        sync
    """)
    _power_cycle(device)
    _is_refused(trial, device, altered, good)
    device.run(f"rm -f /efi/EFI/Linux/{trial.id}_{altered}* /boot/EFI/Linux/{trial.id}_{altered}*")
    version = trial.publish(signed=False)
    trial.note(f"version {version}, whose UKI nobody signed")
    device.update()
    _is_refused(trial, device, version, good)


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


def _is_refused(trial: Trial, device: Device, version: int, good: int) -> None:
    """The firmware refuses a version in each of its tries; then the good one starts by itself.

    A firmware with nothing to start waits: somebody has to switch the device off and on.
    """
    said = rf"Error loading \EFI\Linux\{trial.id}_{version}+"
    for number in range(1, TRIES + 1):
        device.says(said, times=number)
        _power_cycle(device)
    running = device.settled(boots=1)
    device.check(running == good, f"version {running} runs, not {good}")


def _power_cycle(device: Device) -> None:
    device.cut_power()
    device.power_on()
