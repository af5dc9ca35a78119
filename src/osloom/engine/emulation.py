"""Run programs of another architecture in the sandbox: qemu-user, started by the kernel.

binfmt_misc, in the kernel's admin-guide, tells which interpreter starts which files. Since Linux
6.7 a user namespace can have one of its own: it counts in that namespace and in those made in it,
for as long as it is mounted somewhere. The interpreter is opened when it is registered (flag F), so
that the image need not have it; it is told the name that the program was started by (P) and given
the program's open file (O).
"""

import os
import platform
import struct
from pathlib import Path

import msgspec

from osloom.base.errors import BuildError
from osloom.engine.mounts import mount

_IDENTIFICATION = b"\x7fELF\x02\x01\x01"
"""Of elf(5): 64 bits, little endian, version 1; the ABI and eight empty bytes follow."""
_LOADED_AT = 0x400000


class Machine(msgspec.Struct, frozen=True):
    """An architecture whose programs can be emulated."""

    architecture: str
    """Debian's name."""
    number: int
    """e_machine of elf(5)."""
    program: str
    """Its emulator, in Debian's package qemu-user."""
    exit: bytes
    """The instructions of exit(0)."""


MACHINES = {
    "x86_64": Machine("amd64", 62, "qemu-x86_64", bytes.fromhex("31ff b83c000000 0f05")),
    "aarch64": Machine("arm64", 183, "qemu-aarch64", bytes.fromhex("000080d2 a80b80d2 010000d4")),
}
"""By the kernel's names."""


def foreign() -> Machine:
    """The architecture that is not this host's."""
    return MACHINES["x86_64" if platform.machine() == "aarch64" else "aarch64"]


def allow(emulator: Path, directory: Path) -> None:
    """Let programs of the other architecture run in this process's user namespace.

    `emulator` is the root of an unpacked qemu-user. The process has a mount namespace of its own
    and stays in it while the programs run; `directory` is empty. Where the kernel is too old, what
    the host itself has registered will do. Raises BuildError if it has nothing.
    """
    machine = foreign()
    try:
        mount_own(directory)
    except BuildError as error:
        if is_allowed(directory):
            return
        own = MACHINES.get(platform.machine())
        raise BuildError(
            f"cannot run programs of {machine.architecture} on this "
            f"{own.architecture if own else platform.machine()} host: "
            "its kernel gives user namespaces no binfmt_misc",
            hint="use Linux 6.7 or newer, register qemu-user on this host (flag F), build on a "
            f'host of {machine.architecture}, or set `configure = "none"` and run no scripts',
        ) from error
    with (emulator / "usr/bin" / machine.program).open("rb") as program:
        # The kernel takes no more than 127 bytes for the path, and it may not have a colon.
        line = registration(machine, f"/proc/self/fd/{program.fileno()}")
        (directory / "register").write_bytes(line)


def mount_own(directory: Path) -> None:
    """Give this process's user namespace a binfmt_misc of its own. Raises BuildError."""
    mount("none", directory, "binfmt_misc")


def is_allowed(directory: Path) -> bool:
    """Whether a program of the other architecture runs in a root that has nothing but it.

    `directory` is empty; the process is root of its user namespace.
    """
    place = directory / "program"
    place.write_bytes(smallest_program(foreign()))
    place.chmod(0o755)
    child = os.fork()
    if child == 0:
        try:
            os.chroot(directory)
            os.execv("/program", ["/program"])
        finally:
            os._exit(127)
    return os.waitpid(child, 0)[1] == 0


def registration(machine: Machine, interpreter: str) -> bytes:
    """The line for `register`: :name:type:offset:magic:mask:interpreter:flags."""
    # Programs are ET_EXEC or ET_DYN, which differ in the lowest bit.
    magic = struct.pack("<16sHH", _IDENTIFICATION, 2, machine.number)
    mask = struct.pack("<7sB8sHH", b"\xff" * 7, 0, b"\xff" * 8, 0xFFFE, 0xFFFF)
    fields = (machine.program, "M", "0", _escaped(magic), _escaped(mask), interpreter, "POF")
    return "".join(f":{field}" for field in fields).encode()


def _escaped(data: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in data)


def smallest_program(machine: Machine) -> bytes:
    """An executable file that does nothing, with success."""
    size = 64 + 56 + len(machine.exit)
    entry = _LOADED_AT + 64 + 56
    # Elf64_Ehdr, Elf64_Phdr: one segment that is read and executed.
    header = struct.pack(
        "<16sHHIQQQIHHHHHH",
        *(_IDENTIFICATION, 2, machine.number, 1, entry, 64, 0, 0, 64, 56, 1, 64, 0, 0),
    )
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _LOADED_AT, _LOADED_AT, size, size, 0x10000)
    return header + segment + machine.exit
