"""mkosi and mmdebstrap, from an image that osloom builds for them, run as root in it."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from osloom.engine.tools import start_from
from osloom.model.providers import Debian
from osloom.sources.debian.mirrors import base_address

DEFINITION = """
[project]
name = "peers"
[image.peers]
packages = [
    "apt", "ca-certificates", "cpio", "debian-archive-keyring", "dosfstools", "e2fsprogs", "kmod",
    "mkosi", "mmdebstrap", "mtools", "systemd-boot", "systemd-boot-efi", "systemd-repart",
    "systemd-ukify", "systemd-sysv", "udev", "uidmap", "zstd", "systemd-container",
]
outputs = ["tar"]
"""


class Peers:
    """A root directory with the programs, and a directory that is /work inside it."""

    def __init__(self, root: Path, tools: Path, work: Path) -> None:
        self.root = root
        self._tools = tools
        self.work = work
        work.mkdir(parents=True, exist_ok=True)

    @classmethod
    def unpack(cls, archive: Path, tools: Path, place: Path) -> "Peers":
        root = place / "root"
        root.mkdir(parents=True)
        subprocess.run(["tar", "-xpf", archive, "-C", root, "--xattrs"], check=True)
        return cls(root, tools, place / "work")

    def argv(self, command: Sequence[str]) -> list[str]:
        words = [*start_from(self._tools, "usr/bin/bwrap"), "--die-with-parent", "--unshare-pid"]
        words += ["--cap-add", "ALL", "--bind", str(self.root), "/", "--proc", "/proc"]
        words += ["--dev-bind", "/dev", "/dev", "--ro-bind", "/sys", "/sys", "--tmpfs", "/tmp"]
        words += ["--tmpfs", "/run", "--bind", str(self.work), "/work", "--chdir", "/work"]
        for file in ("/etc/resolv.conf", "/etc/hosts"):
            if Path(file).exists():
                (self.root / file[1:]).unlink(missing_ok=True)
                (self.root / file[1:]).write_bytes(Path(file).read_bytes())
        words += ["--setenv", "PATH", "/usr/sbin:/usr/bin:/sbin:/bin", "--setenv", "HOME", "/root"]
        return [*words, "--", *command]

    def run(self, command: Sequence[str]) -> None:
        done = subprocess.run(self.argv(command), capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{command} failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")


def mkosi_options(peers: Peers, packages: Sequence[str]) -> list[str]:
    """Of a bootable disk `disk.raw` with `packages`, from the mirrors that osloom takes."""
    mirror = base_address("debian", Debian())
    options = ["--distribution=debian", "--release=trixie", f"--mirror={mirror}", "--format=disk"]
    options += ["--bootable=yes", "--bootloader=systemd-boot", "--with-network=no"]
    options += ["--output=disk", "--force", "--package-cache-dir=/work/cache"]
    # mkosi installs the boot loader from a package in the image; osloom from its tools.
    options += [f"--package={name}" for name in [*packages, "systemd-boot"]]
    (peers.work / "cache").mkdir(exist_ok=True)
    # mkosi takes these in place of its own, which ask for archives that not every mirror has.
    sources = peers.work / "mkosi.sandbox/etc/apt/sources.list.d"
    sources.mkdir(parents=True, exist_ok=True)
    (sources / "mkosi.sources").write_text(
        "\n".join(
            f"Types: deb\nURIs: {address}\nSuites: {suites}\nComponents: main\n"
            "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
            for address, suites in (
                (mirror, "trixie trixie-updates"),
                (base_address("debian-security", Debian()), "trixie-security"),
            )
        )
    )
    return options


def clean(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    elif path.exists():
        path.unlink()
