"""How an appliance's initrd opens and mounts the data partition, and shows in /etc what it holds of it."""

from collections.abc import Mapping
from pathlib import Path

from osloom.model.appliance import DATA, ETC, Appliance
from osloom.model.unit_name import escape_path

_UNITS = "usr/lib/systemd/system"
_DATA = Path(__file__).parent / "data"


def data_files(appliance: Appliance) -> Mapping[str, str]:
    """Texts by path."""
    upper, work = f"/sysroot/var/{ETC}/upper", f"/sysroot/var/{ETC}/work"
    return {
        f"{_UNITS}/sysroot-etc.mount": f"""\
[Unit]
Description=/etc as this device has changed it
DefaultDependencies=no
RequiresMountsFor=/sysroot /sysroot/var
Before=initrd-fs.target

[Mount]
What=overlay
Where=/sysroot/etc
Type=overlay
Options=lowerdir=/sysroot/etc,upperdir={upper},workdir={work}
""",
        f"{_UNITS}/initrd-fs.target.d/osloom.conf": "[Unit]\nRequires=sysroot-etc.mount\n",
        **_mount(appliance),
        **_unlocking(appliance),
    }


def _mount(appliance: Appliance) -> Mapping[str, str]:
    """What mounts the data partition, once systemd-repart is done with it.

    The root's fstab(5) says the same, but only once the root is mounted: systemd would load all units
    anew for it.
    """
    method = appliance.disk.data.encryption
    device = partition_path(appliance) if method == "none" else appliance.data_device
    name, kind = escape_path(device), appliance.disk.data.filesystem
    check = f"systemd-fsck@{name}.service" if kind == "ext4" else ""
    after = "[Unit]\nAfter=systemd-repart.service\n"
    made = {
        f"{_UNITS}/sysroot-var.mount": f"""\
[Unit]
Description=What this device keeps
DefaultDependencies=no
Requires={check}
After=systemd-repart.service {check}
Before=initrd-fs.target

[Mount]
What={device}
Where=/sysroot/var
Type={kind}
Options=noatime
""",
        f"{_UNITS}/systemd-fsck@{name}.service.d/osloom.conf": after,
        f"{_UNITS}/initrd-parse-etc.service.d/osloom.conf": (
            "[Service]\nExecStart=\nExecStart=systemctl --no-block start initrd-cleanup.service\n"
        ),
    }
    if method != "none":
        made[f"{_UNITS}/systemd-cryptsetup@{DATA}.service.d/osloom.conf"] = after
        # Who types a key may take their time; who chooses one does so before there is a partition.
        waited = [device, *([partition_path(appliance)] if method == "passphrase" else [])]
        for one in waited:
            drop_in = f"{_UNITS}/{escape_path(one)}.device.d/osloom.conf"
            made[drop_in] = "[Unit]\nJobRunningTimeoutSec=infinity\n"
    return made


def partition_path(appliance: Appliance) -> str:
    """Where the data partition is, encrypted or not."""
    return f"/dev/disk/by-partuuid/{appliance.data_id}"


def _unlocking(appliance: Appliance) -> Mapping[str, str]:
    """What opens the data partition, crypttab(5)."""
    method = appliance.disk.data.encryption
    if method == "none":
        return {}
    how = "tpm2-device=auto" if method == "tpm2" else "password-cache=yes"
    made = {
        # It is made later than this is read: what mounts it asks for it.
        "etc/crypttab": f"{DATA} PARTUUID={appliance.data_id} - {how},noauto,x-initrd.attach\n"
    }
    if method == "passphrase":
        program = "usr/lib/osloom/make-partitions"
        made[program] = (_DATA / "make-partitions.sh").read_text()
        made[f"{_UNITS}/systemd-repart.service.d/passphrase.conf"] = (
            f"[Service]\nExecStart=\nExecStart=/bin/sh /{program} {appliance.data_id}\n"
            "ImportCredential=cryptsetup.*\n"
        )
    return made
