"""A system of the shape of NixOS, built by real Nix of Debian's parts and without nixpkgs.

What is as in NixOS: the toplevel with what nixpkgs puts into it, a bootspec with a specialisation,
a scripted stage 2 that activates and then starts systemd, /etc made of /etc/static, /run/current-system,
profiles. What is not: Debian's programs have /usr built in, so that activation links it to the
store; the initrd is systemd's as osloom makes it for Debian, which takes `root=`; and units are
Debian's. One for an appliance has its mounts in the initrd's fstab, as NixOS has.
"""

import json
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from osloom.base.digest import digest_bytes
from osloom.model.cpio import write_cpio
from osloom.model.tree import Node, with_parents
from support.cli import osloom
from support.nix import NixWorld

_SYSTEM = Path(__file__).parent / "nixos_system"
_PACKAGES = ("systemd-sysv", "udev", "dbus", "nix-bin", "linux-image-cloud-amd64")
_APPLIANCE = ("curl", "dmsetup", "gpg", "systemd-boot", "systemd-container")
"""What every NixOS has, or its systemd, or what docs/nixos.md adds."""
_INITRD = ("coreutils", "dmsetup", "systemd-cryptsetup", "systemd-repart")
"""The same of its initrd, of which coreutils are always there."""
_DEFINITION = """\
[image.debian]
packages = {packages}
initrd.packages = {initrd}
remove = [
    "/usr/include", "/usr/share/doc", "/usr/share/locale", "/usr/share/man", "/usr/share/perl",
    "/usr/share/perl5", "/usr/lib/klibc", "/usr/lib/udev/hwdb.d", "/usr/share/initramfs-tools",
]
outputs = ["tar", "initrd"]
"""
_NETWORK = """\
[image.debian.systemd]
enable = ["systemd-networkd"]
[image.debian.files."/etc/systemd/network/80-wired.network"]
text = "[Match]\\nKind=!*\\nType=ether\\n[Network]\\nDHCP=yes\\n"
"""
ROOT = "/dev/disk/by-partlabel/root"
# The kernel gives up on an emulated timer that is late because the host is busy.
PARAMETERS = ("root=PARTLABEL=root", "rw", "console=ttyS0", "loglevel=4", "no_timer_check")
DATA = "/dev/disk/by-partlabel/data"
APPLIANCE_PARAMETERS = ("root=fstab", *PARAMETERS[2:])


@dataclass(frozen=True)
class Parts:
    """Store paths of Debian's parts."""

    usr: str
    etc: str
    kernel: str
    initrd: str


def make_parts(
    world: NixWorld, directory: Path, store: Path, *, is_appliance: bool = False
) -> Parts:
    """Debian's parts in the store of `world`; `directory` has to be one that it sees."""
    directory.mkdir()
    packages = (*_PACKAGES, *_APPLIANCE) if is_appliance else _PACKAGES
    initrd_packages = _INITRD if is_appliance else ()
    (directory / "osloom.toml").write_text(
        _DEFINITION.format(packages=[*packages], initrd=[*initrd_packages])
        + (_NETWORK if is_appliance else "")
    )
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
    if is_appliance:
        with (initrd / "initrd").open("ab") as file:
            # The kernel looks for archives at such places only.
            file.write(bytes(-file.tell() % 4))
            file.writelines(_archive({"etc/fstab": _fstab("/sysroot")}))
    return Parts(
        usr=world.add(usr, "debian-usr"),
        etc=world.add(root / "etc", "debian-etc"),
        kernel=world.add(kernel, "linux"),
        initrd=world.add(initrd, "initrd"),
    )


def _archive(texts: Mapping[str, str]) -> Iterator[bytes]:
    """A cpio archive for the kernel, after that which is there."""
    contents = {digest_bytes(text.encode()): text.encode() for text in texts.values()}
    nodes = {
        path: Node("file", 0o644, size=len(text), digest=digest_bytes(text.encode()))
        for path, text in texts.items()
    }
    return write_cpio(with_parents(nodes, mtime=1), lambda digest: (contents[digest],))


def _fstab(root: str) -> str:
    """Of an appliance: what is at / and /var, in the initrd below `root`."""
    return (
        f"tmpfs {root or '/'} tmpfs x-initrd.mount,mode=0755 0 0\n"
        f"{DATA} {root}/var ext4 x-initrd.mount,x-systemd.growfs 0 2\n"
    )


def build_system(
    world: NixWorld, parts: Parts, *, is_container: bool = False, is_appliance: bool = False
) -> str:
    """The store path of a toplevel; of one that boots, /etc/fstab mounts / from `ROOT`, of an
    appliance /var from `DATA`."""
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
    fstab = "" if is_container else f"{ROOT} / ext4 x-initrd.mount 0 1\n"
    fstab = _fstab("") if is_appliance else fstab
    parameters = APPLIANCE_PARAMETERS if is_appliance else PARAMETERS
    return world.build(
        f"""import {place}/system.nix {{
            busybox = p.busybox;
            {stored}
            kernelParams = [ {" ".join(f'"{word}"' for word in parameters)} ];
            fstab = builtins.toFile "fstab" {json.dumps(fstab)};
            isContainer = {str(is_container).lower()};
            system = builtins.currentSystem;
        }}"""
    )
