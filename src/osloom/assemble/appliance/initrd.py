"""What an appliance's initrd has beside that of other images: its units, and what they find."""

from collections.abc import Mapping
from pathlib import Path

from osloom.assemble.appliance.data_partition import data_files, partition_path
from osloom.assemble.kernel import EARLY
from osloom.model.appliance import Appliance, manager_settings
from osloom.model.emergency import emergency_units
from osloom.model.profiles import RESET_OPTION

_MODULES = (
    "drivers/md/dm-(bufio|crypt|mod|verity)",
    "drivers/watchdog/(i6300esb|iTCO|sp5100|wdat)",
    "fs/(efivarfs|erofs|fat|nls|overlayfs)/",
)
"""Of file systems and mappers only those that an appliance has."""
_OTHERS = ("drivers/md/", "fs/")
_UNITS = "usr/lib/systemd/system"
_RESET = "usr/lib/osloom/factory-reset"
_DATA = Path(__file__).parent / "data"


def early_modules(appliance: Appliance) -> list[str]:
    """Patterns of modules, as `assemble.kernel.EARLY`."""
    kind = appliance.disk.data.filesystem
    data = "fs/(ext4|jbd2)/" if kind == "ext4" else f"fs/{kind}/"
    return [*(one for one in EARLY if not one.startswith(_OTHERS)), *_MODULES, data]


def initrd_files(appliance: Appliance) -> Mapping[str, str]:
    """Texts by path; units need not be enabled."""
    return {
        **data_files(appliance),
        **reset_files(appliance),
        # Of itself it starts for a separate /usr only; it reads the root's repart.d.
        f"{_UNITS}/systemd-repart.service.d/osloom.conf": (
            "[Unit]\nConditionDirectoryNotEmpty=\nRequires=sysroot.mount\nAfter=sysroot.mount\n"
            "Wants=osloom-reset-menu.service osloom-reset-credential.service\n\n"
            f"[Service]\nExecStartPost=-/bin/sh /{_RESET} done\n"
        ),
        **{f"{_UNITS}/{name}": text for name, text in trial_units(appliance).items()},
        **_room(appliance),
        "usr/lib/osloom/failed-boot": (_DATA / "failed-boot.sh").read_text(),
        **manager_settings(appliance),
        **emergency_units(),
    }


def trial_units(appliance: Appliance) -> Mapping[str, str]:
    """What ends a boot on trial that gets no further, by name below a directory of units."""
    return {
        "emergency.service.d/osloom.conf": (
            "[Service]\nExecStartPre=-/bin/sh /usr/lib/osloom/failed-boot\n"
        ),
        # What hangs here, such as a question that nobody answers, is a failed boot as well.
        "osloom-deadline.timer": f"""\
[Unit]
Description=Time that a boot on trial has
DefaultDependencies=no
ConditionPathExistsGlob=/sys/firmware/efi/efivars/LoaderBootCountPath-*

[Timer]
OnActiveSec={appliance.update.deadline}
""",
        "osloom-deadline.service": (
            "[Unit]\nDescription=End a boot on trial that takes too long\n"
            "DefaultDependencies=no\n\n"
            "[Service]\nType=oneshot\nExecStart=/bin/sh /usr/lib/osloom/failed-boot\n"
        ),
        "initrd.target.d/osloom.conf": "[Unit]\nWants=osloom-deadline.timer\n",
    }


def _room(appliance: Appliance) -> Mapping[str, str]:
    """What says that the disk is too small, and stops where there cannot be data.

    A disk that is cut off has nothing but a protective MBR for udev: its partition table speaks of
    more than there is.
    """
    program = "/bin/sh /usr/lib/osloom/too-small"
    data = partition_path(appliance)
    service = "[Service]\nType=oneshot\n"
    return {
        "usr/lib/osloom/too-small": (_DATA / "too-small.sh").read_text(),
        "usr/lib/udev/rules.d/90-osloom.rules": (
            'SUBSYSTEM=="block", ENV{DEVTYPE}=="disk", ENV{ID_PART_TABLE_TYPE}=="PMBR", '
            'ENV{SYSTEMD_WANTS}+="osloom-cut-off@%k.service"\n'
        ),
        f"{_UNITS}/osloom-cut-off@.service": (
            "[Unit]\nDescription=Say that the disk %i is cut off\nDefaultDependencies=no\n\n"
            f"{service}ExecStart={program} %i\n"
        ),
        f"{_UNITS}/systemd-repart.service.d/room.conf": "[Unit]\nOnFailure=osloom-no-room.service\n",
        f"{_UNITS}/osloom-no-room.service": (
            "[Unit]\nDescription=Say that there is no room for data\nDefaultDependencies=no\n"
            "ConditionPathExists=/dev/mapper/root\n"
            # It begins what emergency mode would have to end.
            "After=initrd-parse-etc.service\n\n"
            f"{service}ExecStart={program}\n"
            f"ExecStart=/bin/sh -c '[ -e {data} ] || exec systemctl --no-block emergency'\n"
        ),
    }


def reset_files(appliance: Appliance) -> Mapping[str, str]:
    """Factory resets that the boot menu and a credential ask for, before systemd-repart runs."""
    return {
        _RESET: (_DATA / "factory-reset.sh").read_text(),
        f"{_UNITS}/osloom-reset-menu.service": f"""\
[Unit]
Description=Factory reset that was chosen in the boot menu
DefaultDependencies=no
ConditionKernelCommandLine={RESET_OPTION}
Before=sysroot.mount systemd-repart.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh /{_RESET} menu
""",
        f"{_UNITS}/osloom-reset-credential.service": f"""\
[Unit]
Description=Factory reset that a credential asks for
DefaultDependencies=no
ConditionCredential={RESET_OPTION}
After=sysroot.mount
Before=systemd-repart.service

[Service]
Type=oneshot
RemainAfterExit=yes
ImportCredential={RESET_OPTION}
RuntimeDirectory=osloom-esp
ExecStart=/bin/sh /{_RESET} credential {appliance.partition_id("/esp")}
""",
    }
