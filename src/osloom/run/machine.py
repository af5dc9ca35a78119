"""A virtual machine as data, and the QEMU command line that makes it, qemu(1)."""

import base64
import platform
from collections.abc import Mapping
from pathlib import Path

import msgspec

from osloom.base.errors import BuildError, UsageError

PACKAGES = {
    "amd64": ("qemu-system-x86", "ovmf", "swtpm"),
    "arm64": ("qemu-system-arm", "qemu-efi-aarch64", "swtpm"),
}
"""What has to be in the tools image for machines of each architecture."""

_FIRMWARE = {
    "amd64": ("usr/share/OVMF/OVMF_CODE_4M.fd", "usr/share/OVMF/OVMF_VARS_4M.fd"),
    "arm64": ("usr/share/AAVMF/AAVMF_CODE.no-secboot.fd", "usr/share/AAVMF/AAVMF_VARS.fd"),
}
_SECURE = {"amd64": ("usr/share/OVMF/OVMF_CODE_4M.secboot.fd", _FIRMWARE["amd64"][1])}
"""Firmware that checks signatures, without keys: in setup mode, UEFI 2.10, 32.3."""

_BOARD = {"amd64": "q35,hpet=off", "arm64": "virt"}
"""No HPET: nothing needs one, and it may have been why an emulated guest, once, lost its timer and
stopped for ever."""
_TPM = {"amd64": "tpm-crb", "arm64": "tpm-tis-device"}
_PROGRAM = {"amd64": "qemu-system-x86_64", "arm64": "qemu-system-aarch64"}
_NATIVE = {"x86_64": "amd64", "aarch64": "arm64"}
_QCOW2 = b"QFI\xfb"
_FW_CFG = "opt/io.systemd.credentials/"
_LONGEST_FW_CFG = 55

TEST_PORT = "org.osloom.test"
"""Name of the virtio port on which a boot test talks to the machine."""


class Forward(msgspec.Struct, frozen=True, kw_only=True):
    """A TCP port of this host that leads into a machine or a container."""

    host: int
    guest: int
    address: str = "127.0.0.1"
    """On which of the host's addresses."""


class Drive(msgspec.Struct, frozen=True, kw_only=True):
    path: Path
    format: str = "raw"
    keep: bool = False
    """Write changes to the file; they are forgotten when the machine ends if not."""
    base: "Drive | None" = None
    """What the file, a qcow2 overlay, has changes to; it is only read."""


def disk_of(path: Path) -> Drive:
    """A disk that is written to, raw or qcow2. Raises UsageError where there is no such file."""
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise UsageError(
            f"cannot use `{path}` as a disk: {(error.strerror or '').lower()}",
            hint=f"make an empty one: `truncate --size=8G {path}`",
        ) from error
    return Drive(path=path.absolute(), format="qcow2" if magic == _QCOW2 else "raw", keep=True)


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """See the module."""

    architecture: str
    drives: tuple[Drive, ...]
    memory: int = 1024
    """MiB."""
    processors: int = 2
    kvm: bool = False
    forwards: tuple[Forward, ...] = ()
    credentials: Mapping[str, str] = {}
    """systemd credentials, by name; systemd.system-credentials(7)."""
    fw_cfg: Mapping[str, str] = {}
    """The same by the other way that QEMU has for them; names of at most 28 characters."""
    reboots: bool = False
    """A reboot starts the machine anew; it ends the machine if not."""
    watchdog: bool = False
    """An Intel 6300ESB, which resets the machine; Debian's cloud kernel has a driver for it."""
    tpm: bool = False
    """A TPM 2.0 (`run.tpm`), whose state stays in `tpm` of the working directory."""
    secure_boot: bool = False
    """Firmware that checks signatures once keys are enrolled, and has none at first."""
    test_socket: bool = False
    """Offer the port `TEST_PORT` on the socket `test` of the working directory."""
    console_log: bool = False
    """Write the serial console to `console.log` of the working directory, not to the terminal."""
    console_socket: bool = False
    """With it, what is typed there comes from the socket `console` of the working directory."""


def firmware(machine: Machine, tools: Path) -> tuple[Path, Path]:
    """Code and variables of the UEFI firmware."""
    known = _SECURE if machine.secure_boot else _FIRMWARE
    if machine.architecture not in known:
        raise BuildError(
            f"cannot start a machine with secure boot for {machine.architecture}: "
            "osloom has firmware without keys only for amd64"
        )
    code, variables = (tools / path for path in known[machine.architecture])
    for path in (code, variables):
        if not path.exists():
            raise BuildError(
                f"cannot start a machine: the tools image has no {path.name}",
                hint="run `osloom lock --upgrade-package ovmf`",
            )
    return code, variables


def can_use_kvm(architecture: str) -> bool:
    return _NATIVE.get(platform.machine()) == architecture


def arguments(machine: Machine) -> list[str]:
    """The command, for the working directory `/mnt/work` and the drives at `/mnt/driveN`.

    Its socket `qmp` is for `run.monitor`. The base of a drive is at `/mnt/baseN`. Raises UsageError for a credential that cannot be given.
    """
    accelerator = "kvm" if machine.kvm else "tcg,thread=multi,tb-size=512"
    board = _BOARD[machine.architecture]
    board += ",smm=on" if machine.secure_boot else ""
    words = [_PROGRAM[machine.architecture], "-nodefaults", "-no-user-config"]
    words += ["-machine", board, "-accel", accelerator]
    words += ["-cpu", "host" if machine.kvm else "max"]
    words += ["-smp", str(machine.processors), "-m", f"{machine.memory}M"]
    words += ["-drive", "if=pflash,format=raw,unit=0,readonly=on,file=/mnt/code"]
    words += ["-drive", "if=pflash,format=raw,unit=1,file=/mnt/work/variables"]
    if machine.secure_boot:
        # The firmware alone may write its variables, and it does not know how to in S3.
        words += ["-global", "driver=cfi.pflash01,property=secure,value=on"]
        words += ["-global", "ICH9-LPC.disable_s3=1"]
    for number, drive in enumerate(machine.drives):
        words += _drive(number, drive)
    forwards = "".join(
        f",hostfwd=tcp:{one.address}:{one.host}-:{one.guest}" for one in machine.forwards
    )
    words += ["-netdev", f"user,id=net{forwards}", "-device", "virtio-net-pci,netdev=net,romfile="]
    words += ["-device", "virtio-rng-pci"]
    return [*words, *_credentials(machine), *_devices(machine), *_console(machine)]


def _drive(number: int, drive: Drive) -> list[str]:
    keep = "off" if drive.keep else "on"
    words = f"if=none,id=d{number},format={drive.format},snapshot={keep},file=/mnt/drive{number}"
    if drive.base is not None:
        words += f",backing.driver={drive.base.format},backing.file.driver=file"
        words += f",backing.file.filename=/mnt/base{number}"
    device = f"virtio-blk-pci,drive=d{number},serial=drive{number}"
    return ["-drive", words, "-device", device]


def _credentials(machine: Machine) -> list[str]:
    words = []
    for name, value in machine.credentials.items():
        encoded = base64.b64encode(value.encode()).decode()
        words += ["-smbios", f"type=11,value=io.systemd.credential.binary:{name}={encoded}"]
    for name, value in machine.fw_cfg.items():
        if len(_FW_CFG + name) > _LONGEST_FW_CFG:
            raise UsageError(
                f"cannot give the credential `{name}` by fw_cfg: its name is too long",
                hint=f"at most {_LONGEST_FW_CFG - len(_FW_CFG)} characters, or give it by SMBIOS",
            )
        escaped = value.replace(",", ",,")
        words += ["-fw_cfg", f"name={_FW_CFG}{name},string={escaped}"]
    return words


def _devices(machine: Machine) -> list[str]:
    words = []
    if machine.watchdog:
        words += ["-device", "i6300esb", "-action", "watchdog=reset"]
    if machine.tpm:
        words += ["-chardev", "socket,id=tpm,path=/mnt/work/tpm.socket"]
        words += ["-tpmdev", "emulator,id=tpm,chardev=tpm"]
        words += ["-device", f"{_TPM[machine.architecture]},tpmdev=tpm"]
    return words


def _console(machine: Machine) -> list[str]:
    words = ["-display", "none", "-qmp", "unix:/mnt/work/qmp,server=on,wait=off"]
    words += [] if machine.reboots else ["-no-reboot"]
    if machine.console_log:
        # What is there already is of the runs of this machine before.
        log = "file,id=console,path=/mnt/work/console.log,append=on"
        if machine.console_socket:
            log = "socket,id=console,path=/mnt/work/console,server=on,wait=off"
            log += ",logfile=/mnt/work/console.log,logappend=on"
        words += ["-chardev", log]
        words += ["-serial", "chardev:console", "-monitor", "none"]
    else:
        words += ["-serial", "mon:stdio"]
    if machine.test_socket:
        words += ["-chardev", "socket,id=test,path=/mnt/work/test,server=on,wait=off"]
        words += ["-device", "virtio-serial-pci"]
        words += ["-device", f"virtserialport,chardev=test,name={TEST_PORT}"]
    return words
