"""How a container is made, as data: the configuration of a runtime bundle.

https://github.com/opencontainers/runtime-spec/blob/main/config.md and config-linux.md; the
capabilities, masked and read-only paths are those that container engines give by default.
"""

import platform
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from osloom.model.user import Identity

INIT = "/dev/init"
"""Where the first process of a container is in it: /dev is memory, and not of the image."""

_CAPABILITIES = (
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
)
_MASKED = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)
_READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
_NAMESPACES = ("cgroup", "ipc", "mount", "pid", "uts")
"""The user and the network namespace are those that the runtime starts in."""

_ARCHITECTURES = {
    "x86_64": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
    "aarch64": ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
}
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_INT = 0xFFFFFFFF
_TTY_GROUP = 5


class Mount(msgspec.Struct, frozen=True, kw_only=True):
    """A path of this host in the container."""

    source: str
    destination: str
    read_only: bool = False


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """What of a container differs from others."""

    root: str
    """The directory with its root file system."""
    words: Sequence[str]
    user: Identity
    environment: Mapping[str, str]
    directory: str = "/"
    hostname: str = "localhost"
    mounts: Sequence[Mount] = ()
    terminal: tuple[int, int] | None = None
    """Columns and lines of a terminal of its own, which the runtime connects with the caller's."""
    read_only: bool = False
    capabilities: bool = True
    """Those that container engines give by default, or none."""
    many_ids: bool = True
    """Whether the user namespace has ids but 0."""


def configuration(bundle: Bundle) -> dict[str, Any]:
    """The content of config.json."""
    capabilities = list(_CAPABILITIES) if bundle.capabilities else []
    user: dict[str, Any] = {"uid": bundle.user.uid, "gid": bundle.user.gid}
    if bundle.user.groups:
        user["additionalGids"] = list(bundle.user.groups)
    return {
        "ociVersion": "1.0.2",
        "hostname": bundle.hostname,
        "process": {
            **_terminal(bundle.terminal),
            "user": user,
            "args": list(bundle.words),
            "env": [f"{name}={value}" for name, value in bundle.environment.items()],
            "cwd": bundle.directory,
            "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), capabilities),
            "noNewPrivileges": True,
        },
        "root": {"path": bundle.root, "readonly": bundle.read_only},
        "mounts": [*_kernel_mounts(bundle), *map(_bind, bundle.mounts)],
        "linux": {
            "namespaces": [{"type": one} for one in _NAMESPACES],
            "maskedPaths": list(_MASKED),
            "readonlyPaths": list(_READ_ONLY),
            "seccomp": _no_typing(),
        },
    }


def _terminal(size: tuple[int, int] | None) -> dict[str, Any]:
    if size is None:
        return {"terminal": False}
    return {"terminal": True, "consoleSize": {"width": size[0], "height": size[1]}}


def _kernel_mounts(bundle: Bundle) -> list[dict[str, Any]]:
    def mount(destination: str, kind: str, *options: str) -> dict[str, Any]:
        return {
            "destination": destination,
            "type": kind,
            "source": kind,
            "options": ["nosuid", *options],
        }

    terminals = ["noexec", "newinstance", "ptmxmode=0666", "mode=0620"]
    terminals += [f"gid={_TTY_GROUP}"] if bundle.many_ids else []
    mounts = [
        mount("/proc", "proc", "noexec", "nodev"),
        mount("/dev", "tmpfs", "strictatime", "mode=755", "size=65536k"),
        mount("/dev/pts", "devpts", *terminals),
        mount("/dev/shm", "tmpfs", "noexec", "nodev", "mode=1777", "size=65536k"),
        mount("/dev/mqueue", "mqueue", "noexec", "nodev"),
        mount("/sys", "sysfs", "noexec", "nodev", "ro"),
    ]
    if bundle.read_only:
        mounts.append(mount("/tmp", "tmpfs", "nodev", "mode=1777"))
    return mounts


def _bind(mount: Mount) -> dict[str, Any]:
    return {
        "destination": mount.destination,
        "type": "bind",
        "source": mount.source,
        "options": ["rbind", "nosuid", "nodev", "ro" if mount.read_only else "rw"],
    }


def _no_typing() -> dict[str, Any]:
    """Keep the program from putting bytes into the input of a terminal that it was lent.

    What TIOCSTI or TIOCLINUX leave there when the program has ended, the caller's shell would run.
    """
    refused = [
        {"index": 1, "value": _INT, "valueTwo": request, "op": "SCMP_CMP_MASKED_EQ"}
        for request in (_TIOCSTI, _TIOCLINUX)
    ]
    return {
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": _ARCHITECTURES[platform.machine()],
        "syscalls": [
            {"names": ["ioctl"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "args": [one]}
            for one in refused
        ],
    }
