"""A system of the shape of NixOS, built by real Nix of Debian's parts and without nixpkgs.

What is as in NixOS: the toplevel with what nixpkgs puts into it, a bootspec with a specialisation,
a scripted stage 2 that activates and then starts systemd, /etc made of /etc/static, /run/current-system,
profiles. What is not: Debian's programs have /usr built in, so that activation links it to the
store; the initrd is systemd's as osloom makes it for Debian, which takes `root=`; and units are
Debian's.
"""

import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path

from support.cli import osloom
from support.nix import NixWorld

_SYSTEM = Path(__file__).parent / "nixos_system"
_DEFINITION = """\
[image.debian]
packages = ["systemd-sysv", "udev", "dbus", "nix-bin", "linux-image-cloud-amd64"]
remove = [
    "/usr/include", "/usr/share/doc", "/usr/share/locale", "/usr/share/man", "/usr/share/perl",
    "/usr/share/perl5", "/usr/lib/klibc", "/usr/lib/udev/hwdb.d", "/usr/share/initramfs-tools",
]
outputs = ["tar", "initrd"]
"""
ROOT = "/dev/disk/by-partlabel/root"
# The kernel gives up on an emulated timer that is late because the host is busy.
PARAMETERS = ("root=PARTLABEL=root", "rw", "console=ttyS0", "loglevel=4", "no_timer_check")


@dataclass(frozen=True)
class Parts:
    """Store paths of Debian's parts."""

    usr: str
    etc: str
    kernel: str
    initrd: str


def make_parts(world: NixWorld, directory: Path, store: Path) -> Parts:
    """Debian's parts in the store of `world`; `directory` has to be one that it sees."""
    directory.mkdir()
    (directory / "osloom.toml").write_text(_DEFINITION)
    for command in ("lock", "build"):
        osloom(directory, command, OSLOOM_STORE=str(store)).check()
    root = directory / "root"
    with tarfile.open(directory / "dist/debian/debian.tar") as archive:
        archive.extractall(root, filter="tar")
    usr = directory / "usr"
    usr.mkdir()
    (root / "usr").rename(usr / "usr")
    kernel, initrd = directory / "kernel", directory / "initrd"
    kernel.mkdir()
    initrd.mkdir()
    (vmlinuz,) = (root / "boot").glob("vmlinuz-*")
    shutil.copy(vmlinuz, kernel / "bzImage")
    shutil.copy(directory / "dist/debian/debian.initrd", initrd / "initrd")
    return Parts(
        usr=world.add(usr, "debian-usr"),
        etc=world.add(root / "etc", "debian-etc"),
        kernel=world.add(kernel, "linux"),
        initrd=world.add(initrd, "initrd"),
    )


def build_system(world: NixWorld, parts: Parts, *, is_container: bool = False) -> str:
    """The store path of a toplevel; of one that boots, /etc/fstab mounts / from `ROOT`."""
    place = world.directory / "system"
    if not place.exists():
        shutil.copytree(_SYSTEM, place)
    given = {
        "debian": parts.usr,
        "configuration": parts.etc,
        "kernel": parts.kernel,
        "initrd": parts.initrd,
    }
    stored = "\n".join(f'{name} = builtins.storePath "{path}";' for name, path in given.items())
    fstab = "" if is_container else f"{ROOT} / ext4 x-initrd.mount 0 1\\n"
    return world.build(
        f"""import {place}/system.nix {{
            busybox = p.busybox;
            {stored}
            kernelParams = [ {" ".join(f'"{word}"' for word in PARAMETERS)} ];
            fstab = builtins.toFile "fstab" "{fstab}";
            isContainer = {str(is_container).lower()};
            system = builtins.currentSystem;
        }}"""
    )
