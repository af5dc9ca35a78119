"""How long machines take from the kernel's start to boot-complete.target: an appliance beside mkosi's."""

import subprocess
import time
from pathlib import Path

from measure import Measured, Osloom, spread
from peers import Peers, mkosi_options

from osloom.engine.tools import Tools
from osloom.run.machine import Drive, Machine
from osloom.run.qemu import started
from osloom.run.service import service_credentials

_APPLIANCE = """
[project]
name = "bench"
version = "1"
[image.boot]
packages = ["linux-image-cloud-amd64", "systemd-resolved"]
outputs = ["disk"]
[image.boot.disk]
layout = "appliance"
[image.boot.systemd]
enable = ["systemd-networkd"]
"""
_THEIRS = ("systemd", "systemd-sysv", "udev", "dbus", "linux-image-cloud-amd64", "systemd-resolved")
_PROGRAMS = """
[image.programs]
packages = ["bubblewrap", "ovmf", "qemu-system-x86", "qemu-utils"]
outputs = ["tar"]
"""
_UNIT = """\
[Unit]
Wants=boot-complete.target
After=boot-complete.target multi-user.target

[Service]
Type=oneshot
StandardOutput=file:/dev/ttyS0
"""
_SAID = "kernel to boot-complete: "
# What the kernel says of itself goes to the same console.
_SCRIPT = f"read -r up idle </proc/uptime; echo; echo '{_SAID}'$up; sync; systemctl poweroff\n"
_PATIENCE = 900


def compare_boot(osloom: Osloom, peers: Peers, place: Path, runs: int) -> Measured:
    """The first boot makes what a machine has for itself; those after it are measured."""
    tools = _tools(osloom, place)
    osloom.define(_APPLIANCE)
    osloom("lock")
    osloom("build")
    # A machine that says on a serial console what it does takes longer: so do both.
    # Nor does either ask who installs it for a language and a time zone.
    console = "--kernel-command-line=console=tty0 console=ttyS0 systemd.firstboot=off"
    peers.run(["mkosi", *mkosi_options(peers, _THEIRS), console, "build"])
    mine = _Disk(osloom.place / "dist/boot/boot.raw", tools, place / "boot-ours")
    theirs = _Disk(peers.work / "disk.raw", tools, place / "boot-theirs")
    first = mine.boot(), theirs.boot()
    ours, others = [], []
    for _ in range(runs):
        ours.append(mine.boot())
        others.append(theirs.boot())
    ratios = [one / other for one, other in zip(ours, others, strict=True)]
    return Measured(
        "appliance: kernel start to boot-complete.target, beside mkosi's minimal disk, emulated",
        "no slower",
        spread(ratios, "of it"),
        f"osloom {spread(ours)}, the first boot {first[0]:.2f} s; "
        f"mkosi {spread(others)}, the first {first[1]:.2f} s",
    )


class _Disk:
    """A disk with room for data, and the machine that it is in."""

    def __init__(self, path: Path, tools: Tools, work: Path) -> None:
        work.mkdir(parents=True, exist_ok=True)
        command = ["qemu-img", "create", "-q", "-f", "qcow2", "/mnt/work/disk.qcow2", "8G"]
        tools.run(command, work=work)
        overlay = Drive(path=work / "disk.qcow2", format="qcow2", keep=True, base=Drive(path=path))
        self._tools = tools
        self._work = work
        self._machine = Machine(
            architecture="amd64",
            drives=(overlay,),
            credentials=service_credentials("bench", unit=_UNIT, script=_SCRIPT),
            console_log=True,
        )

    def boot(self) -> float:
        """Seconds, as the machine counts them."""
        end = time.monotonic() + _PATIENCE
        log = self._work / "console.log"
        before = len(log.read_text(errors="replace")) if log.exists() else 0
        with started(self._machine, self._tools, self._work) as running:
            while running.is_alive() and time.monotonic() < end:
                time.sleep(1)
            said = [
                line for line in running.console()[before:].splitlines() if line.startswith(_SAID)
            ]
        if not said:
            raise SystemExit(f"no boot in {_PATIENCE} s: {self._work / 'console.log'}")
        return float(said[-1].removeprefix(_SAID))


def _tools(osloom: Osloom, place: Path) -> Tools:
    root = place / "boot-tools"
    if not root.exists():
        builder = Osloom(place / "boot-tools-project", osloom.store)
        builder.define(_PROGRAMS)
        builder("lock")
        builder("build")
        root.mkdir()
        archive = builder.place / "dist/programs/programs.tar"
        subprocess.run(["tar", "-xpf", archive, "-C", root], check=True)
    return Tools(root)
