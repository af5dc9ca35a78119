"""The packages that osloom chooses are those that apt itself chooses.

apt comes from an image that osloom unpacks, and reads the very indexes that osloom verified.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from osloom.base.progress import silent
from osloom.compose.plan import plan_merge, plan_packages
from osloom.engine.build import Builder
from osloom.engine.executor import LocalExecutor
from osloom.engine.tools import Tools
from osloom.fetch.download import Wanted, client, fetch_blob, fetch_text
from osloom.model.providers import Debian
from osloom.sources.debian.index import ParsedIndex, decompress, parse_index
from osloom.sources.debian.lock import make_lock
from osloom.sources.debian.mirrors import base_address
from osloom.sources.debian.packages import fetch_packages
from osloom.sources.debian.release import load_keyring, parse_release
from osloom.sources.debian.request import Request
from osloom.sources.debian.resolve import resolve
from osloom.sources.debian.universe import Ranked, Universe
from osloom.store.store import Store

SETS = """
alsa-utils
ansible
apache2
bind9
build-essential
buildah
console-setup
cryptsetup lvm2 mdadm
cups
curl wget ca-certificates
default-jdk
default-mta
docker.io
dovecot-imapd
dracut
emacs
exim4
ffmpeg
firefox-esr
flatpak
gimp
git
golang
gnome-core
grub-efi-amd64
haproxy
ifupdown
initramfs-tools
isc-dhcp-server
kde-plasma-desktop
less nano
libreoffice-writer
libvirt-daemon-system
live-boot
man-db
mariadb-server
memcached
mkosi
mmdebstrap
mutt
network-manager
nfs-kernel-server
nftables iptables
nginx
nix-bin
nodejs npm
openssh-server
openvpn wireguard
perl
php
pipewire
podman
postfix
postgresql
puppet
python3
qemu-system-x86
rabbitmq-server
redis-server
rsyslog logrotate cron
ruby
rustc cargo
samba
skopeo
squid
strongswan
sudo locales tzdata
systemd-boot
systemd-sysv udev dbus linux-image-cloud-amd64 systemd-resolved
vim
vlc
wpasupplicant
xfce4
+ nginx
+ openssh-server
+ python3-pip
+ vim git
"""
"""One set a line; with a plus sign, recommended packages too."""

FEW = ("systemd-sysv udev dbus linux-image-cloud-amd64", "nginx", "python3 git", "+ openssh-server")


@dataclass(frozen=True)
class Apt:
    """apt of an unpacked image, with the index of one suite and nothing installed."""

    tools: Tools
    work: Path

    def chosen(self, names: list[str], *, recommends: bool) -> set[str]:
        options = ["-o", f"APT::Install-Recommends={'true' if recommends else 'false'}"]
        options += ["-o", "Dir::Etc::sourcelist=/mnt/work/sources.list"]
        options += ["-o", "Dir::Etc::sourceparts=/dev/null", "-o", "Dir::State=/mnt/work/state"]
        options += ["-o", "Dir::State::status=/mnt/work/status", "-o", "Dir::Cache=/mnt/work/cache"]
        options += ["-o", "APT::Architecture=amd64", "-o", "APT::Architectures=amd64"]
        command = ["apt-get", "install", "--simulate", "--quiet", *options, *names]
        said = self.tools.run(command, work=self.work, check=False).stdout.decode()
        return {
            line.split()[1].split(":")[0] for line in said.splitlines() if line.startswith("Inst ")
        }


def packages_file(store: Store, suite: str) -> bytes:
    """The text of the suite's index, verified."""
    address = f"{base_address('debian', Debian())}/dists/{suite}"
    with client() as http:
        signed = fetch_text(http, f"{address}/InRelease")
    assert signed is not None
    # The mirror may stand still; who signed it is what matters here.
    release = parse_release(
        signed, load_keyring(None), name=suite, now=int(time.time()), check_valid_until=False
    )
    name = "main/binary-amd64/Packages.xz"
    file = release.files[name]
    wanted = Wanted(urls=(f"{address}/{name}",), digest=file.digest, size=file.size, title=suite)
    return decompress(store.blobs.read(fetch_blob(store, wanted, report=silent)), name)


@pytest.fixture(scope="module")
def kept(store: Path) -> Iterator[Store]:
    opened = Store(store)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def tools(kept: Store) -> Tools:
    """An image with apt: its packages unpacked, no script run."""
    request = Request(
        names=("apt", "bubblewrap", "dpkg"),
        suite="trixie",
        architecture="amd64",
        essential=False,
        recommends=False,
    )
    lock = make_lock(
        kept,
        Debian(),
        {"apt": request},
        directory=Path(),
        now=int(time.time()),
        report=silent,
    )
    fetch_packages(kept, lock, Debian(), lock.packages, report=silent)
    executor = LocalExecutor(kept)
    try:
        wanted = plan_merge("apt", plan_packages(lock.packages), dpkg=False)
        (digest,) = Builder(kept, executor, silent).make([wanted])
    finally:
        executor.stop()
    return Tools(kept.checkout(digest))


def prepared(tools: Tools, work: Path, suite: str, packages: bytes) -> Apt:
    for name in ("state/lists/partial", "cache/archives/partial"):
        (work / name).mkdir(parents=True)
    (work / "sources.list").write_text(
        f"deb [trusted=yes] http://mirror.invalid/debian {suite} main\n"
    )
    (work / "status").write_text("")
    name = f"mirror.invalid_debian_dists_{suite}_main_binary-amd64_Packages"
    (work / "state/lists" / name).write_bytes(packages)
    return Apt(tools, work)


def differences(apt: Apt, index: ParsedIndex, sets: list[str]) -> dict[str, list[str]]:
    """Sets for which osloom and apt choose differently, and in what."""
    ranked = [Ranked(repository="debian", index=index)]
    essential = Universe(ranked).essential

    def compare(line: str) -> list[str]:
        recommends = line.startswith("+ ")
        names = line.removeprefix("+ ").split()
        chosen = resolve(Universe(ranked), names, recommends=recommends, essential=True).chosen
        ours = {one.name for one in chosen}
        theirs = apt.chosen([*essential, *names], recommends=recommends)
        return sorted(ours ^ theirs)

    # The first run writes apt's cache, which the others read.
    found = {sets[0]: compare(sets[0])}
    with ThreadPoolExecutor(max_workers=2) as pool:
        found |= dict(zip(sets[1:], pool.map(compare, sets[1:]), strict=True))
    return {line: names for line, names in found.items() if names}


@pytest.mark.network
@pytest.mark.parametrize(
    "part", [0, pytest.param(1, marks=pytest.mark.long), pytest.param(2, marks=pytest.mark.long)]
)
def test_osloom_chooses_what_apt_chooses(
    kept: Store, tools: Tools, tmp_path: Path, part: int
) -> None:
    sets = SETS.strip().splitlines()
    assert len(sets) >= 60
    packages = packages_file(kept, "trixie")
    apt = prepared(tools, tmp_path, "trixie", packages)
    assert differences(apt, parse_index(packages), sets[part::3]) == {}


@pytest.mark.network
@pytest.mark.parametrize("suite", ["bookworm", "forky", "sid"])
def test_osloom_chooses_what_apt_chooses_in_other_suites(
    kept: Store, tools: Tools, tmp_path: Path, suite: str
) -> None:
    packages = packages_file(kept, suite)
    apt = prepared(tools, tmp_path, suite, packages)
    assert differences(apt, parse_index(packages), list(FEW)) == {}
