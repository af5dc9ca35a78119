"""Start machines: QEMU from the tools image, confined to its files and the loopback network."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from osloom.engine.tools import Tools
from osloom.run.machine import Machine, arguments, can_use_kvm, firmware

_KVM = Path("/dev/kvm")


def probe_kvm(tools: Tools, work: Path, architecture: str) -> str:
    """Why KVM cannot be used for `architecture`, or nothing when it truly works.

    The device can exist where nested virtualisation does not work: only a machine that runs some
    instructions of its firmware shows it.
    """
    if not can_use_kvm(architecture):
        return "the image is for another architecture than this host"
    if not _KVM.exists():
        return "this host has no /dev/kvm"
    if not os.access(_KVM, os.R_OK | os.W_OK):
        return "this user may not open /dev/kvm: join the group `kvm`"
    command = ["qemu-system-x86_64" if architecture == "amd64" else "qemu-system-aarch64"]
    command += ["-nodefaults", "-display", "none", "-accel", "kvm", "-cpu", "host"]
    command += ["-machine", "q35" if architecture == "amd64" else "virt"]
    # The firmware writes to this port within milliseconds when instructions run at all.
    command += ["-debugcon", "file:/mnt/work/probe", "-m", "64M"]
    argv = tools.argv(command, work=work)
    argv[argv.index("--") : argv.index("--")] = ["--dev-bind", "/dev/kvm", "/dev/kvm"]
    with contextlib.suppress(subprocess.TimeoutExpired):
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            process.wait(timeout=3)
        finally:
            process.kill()
            process.wait()
    probe = work / "probe"
    if probe.exists() and probe.stat().st_size > 0:
        return ""
    return "/dev/kvm is there, but a machine does not run on it"


def command_line(machine: Machine, tools: Tools, work: Path) -> list[str]:
    """What starts the machine; `work` gets the firmware's variables."""
    code, variables = firmware(machine, tools.root)
    shutil.copyfile(variables, work / "variables")
    reads = {"code": code}
    reads |= {
        f"drive{number}": drive.path
        for number, drive in enumerate(machine.drives)
        if not drive.keep
    }
    words = tools.argv(arguments(machine), work=work, reads=reads, network=True)
    extra: list[str] = ["--dev-bind", "/dev/kvm", "/dev/kvm"] if machine.kvm else []
    for number, drive in enumerate(machine.drives):
        if drive.keep:
            extra += ["--bind", os.fspath(drive.path), f"/mnt/drive{number}"]
    place = words.index("--")
    return [*words[:place], *extra, *words[place:]]


def run_machine(machine: Machine, tools: Tools, work: Path) -> int:
    """Run a machine with its console in this terminal; gives QEMU's exit status."""
    argv = command_line(machine, tools, work)
    # Ctrl-C belongs to the machine: the terminal is raw, and Ctrl-A X leaves.
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return subprocess.call(argv, stdin=sys.stdin, stdout=sys.stdout, stderr=sys.stderr)
    finally:
        signal.signal(signal.SIGINT, previous)


class Running:
    """A machine in the background."""

    def __init__(self, process: "subprocess.Popen[bytes]", work: Path) -> None:
        self._process = process
        self.work = work

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def console(self) -> str:
        path = self.work / "console.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def problem(self) -> str:
        """What QEMU itself complained about."""
        return (self.work / "qemu.log").read_text(errors="replace")


@contextlib.contextmanager
def started(machine: Machine, tools: Tools, work: Path) -> Iterator[Running]:
    """A machine that runs while the block does."""
    argv = command_line(machine, tools, work)
    with (work / "qemu.log").open("wb") as log:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield Running(process, work)
    finally:
        process.kill()
        process.wait()
