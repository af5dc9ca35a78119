"""Start machines: QEMU from the tools image, confined to its files and the loopback network."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from osloom.base.errors import BuildError
from osloom.engine.tools import Tools
from osloom.run.background import Background, in_background
from osloom.run.machine import Machine, arguments, can_use_kvm, firmware
from osloom.run.monitor import Monitor
from osloom.run.tpm import tpm

_KVM = Path("/dev/kvm")
_SOCKET = "qmp"
_LOOKS = 5
"""Seconds between two looks at whether a machine stands still."""
_STILL = "the machine stands still: there is no room for what it writes"


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
    """What starts the machine; `work` gets the firmware's variables if it has none yet."""
    code, variables = firmware(machine, tools.root)
    if not (work / "variables").exists():
        shutil.copyfile(variables, work / "variables")
    reads, writes = {"code": code}, dict[str, Path]()
    for number, drive in enumerate(machine.drives):
        (writes if drive.keep else reads)[f"drive{number}"] = drive.path
        if drive.base is not None:
            reads[f"base{number}"] = drive.base.path
    words = tools.argv(arguments(machine), work=work, reads=reads, network=True)
    extra: list[str] = ["--dev-bind", "/dev/kvm", "/dev/kvm"] if machine.kvm else []
    for name, path in writes.items():
        extra += ["--bind", os.fspath(path), f"/mnt/{name}"]
    place = words.index("--")
    return [*words[:place], *extra, *words[place:]]


def run_machine(machine: Machine, tools: Tools, work: Path) -> int:
    """Run a machine with its console in this terminal; gives QEMU's exit status."""
    argv = command_line(machine, tools, work)
    # Ctrl-C belongs to the machine: the terminal is raw, and Ctrl-A X leaves.
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with _beside(machine, tools, work), _kept_going(work):
            return subprocess.call(argv, stdin=sys.stdin, stdout=sys.stdout, stderr=sys.stderr)
    finally:
        signal.signal(signal.SIGINT, previous)


class Running:
    """A machine in the background."""

    def __init__(self, process: Background, work: Path) -> None:
        self._process = process
        self._monitor = Monitor(work / _SOCKET)
        self._looked = time.monotonic()
        self.work = work

    def is_alive(self) -> bool:
        """Raises BuildError when the machine stands still: nobody is there to make room."""
        if time.monotonic() - self._looked > _LOOKS:
            self._looked = time.monotonic()
            if self._monitor.stands_still():
                raise BuildError(
                    f"cannot go on: {_STILL}",
                    hint=f"free some space on the disk with {self.work}; what a machine writes to a "
                    "disk that it does not keep is in memory",
                )
        return self._process.is_alive()

    def kill(self) -> None:
        """Cut its power; its files can be used again when this returns."""
        self._process.kill()

    def console(self) -> str:
        """All that it has said, over every boot and every start with this working directory."""
        path = self.work / "console.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def problem(self) -> str:
        """What QEMU itself complained about."""
        return (self.work / "qemu.log").read_text(errors="replace")


@contextlib.contextmanager
def started(machine: Machine, tools: Tools, work: Path) -> Iterator[Running]:
    """A machine that runs while the block does.

    Started again with the same `work` it is the same machine: the firmware's variables, the TPM
    and the drives that are kept are as it left them.
    """
    argv = command_line(machine, tools, work)
    with _beside(machine, tools, work), in_background(argv, work / "qemu.log") as process:
        yield Running(process, work)


@contextlib.contextmanager
def _kept_going(work: Path) -> Iterator[None]:
    """Say when a machine stands still, and have it go on as soon as it can."""
    monitor, ended = Monitor(work / _SOCKET), threading.Event()

    def watch() -> None:
        said = False
        while not ended.wait(_LOOKS):
            if not monitor.stands_still():
                said = False
                continue
            if not said:
                # The terminal is raw.
                sys.stderr.write(f"\r\n{_STILL}; make some, and it goes on (Ctrl-A X: leave)\r\n")
                sys.stderr.flush()
                said = True
            monitor.go_on()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


def _beside(machine: Machine, tools: Tools, work: Path) -> contextlib.AbstractContextManager[None]:
    return tpm(tools, work) if machine.tpm else contextlib.nullcontext()
