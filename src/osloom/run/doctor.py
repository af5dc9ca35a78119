"""What osloom needs of this host, and whether it is there."""

import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from osloom.base.command import run
from osloom.engine import emulation
from osloom.engine.identity import find_identity
from osloom.run import network

_SAYS = {
    "root": "root: the sandbox maps the first 65536 ids",
    "subordinate": "subordinate ids: mapped into the sandbox",
    "single": "one id: ownership is kept by fakeroot, which is slower",
}


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at."""

    name: str
    good: bool
    message: str
    mend: str = ""
    """What to do when it is not good."""


def examine(store: Path) -> Iterator[Finding]:
    """Everything that a build needs, and then what only running images needs."""
    yield _machine()
    yield _namespaces()
    identity = find_identity()
    yield Finding(name="user ids", good=True, message=_SAYS[identity])
    if identity != "single":
        yield _overlay()
    yield _store(store)
    yield _emulation()
    yield _kvm()
    yield _network()


def _machine() -> Finding:
    machine, version = platform.machine(), ".".join(map(str, sys.version_info[:3]))
    return Finding(
        name="host",
        good=machine in ("x86_64", "aarch64"),
        message=f"Linux {platform.release()} on {machine}, Python {version}",
        mend="osloom runs on x86_64 and aarch64",
    )


def _attempt(code: str) -> str:
    """Why `code` fails in a process of its own, in one line; empty when it does not."""
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    done = run([sys.executable, "-c", code], environment=environment, check=False)
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    return lines[-1] if done.status and lines else ""


def _namespaces() -> Finding:
    problem = _attempt(
        "from osloom.engine.identity import enter, find_identity; enter(find_identity())"
    )
    return Finding(
        name="user namespaces",
        good=not problem,
        message=problem or "work",
        mend="sysctl -w kernel.unprivileged_userns_clone=1 user.max_user_namespaces=10000; in a "
        "container allow the system call unshare; with AppArmor restrictions allow userns",
    )


def _overlay() -> Finding:
    with tempfile.TemporaryDirectory() as place:
        problem = _attempt(
            "import pathlib\n"
            "from osloom.engine import identity, mounts\n"
            f"place = pathlib.Path({place!r})\n"
            "identity.enter(identity.find_identity()); identity.unshare(identity.CLONE_NEWNS)\n"
            "mounts.make_private(); mounts.mount_tmpfs(place)\n"
            "for name in 'lower upper work merged'.split(): (place / name).mkdir()\n"
            "mounts.mount_overlay(place / 'merged', lower=place / 'lower', "
            "upper=place / 'upper', work=place / 'work')\n"
        )
    return Finding(
        name="overlayfs",
        good=not problem,
        message=problem or "works in a user namespace",
        mend="a kernel from 6.6 on is needed: overlayfs on tmpfs with user xattrs",
    )


def _store(store: Path) -> Finding:
    place = store
    while not place.exists():
        place = place.parent
    free = os.statvfs(place)
    gibibytes = free.f_bavail * free.f_frsize / (1 << 30)
    writable = os.access(place, os.W_OK)
    return Finding(
        name="store",
        good=writable and gibibytes > 2,
        message=f"{store}, {gibibytes:.1f} GiB free" + ("" if writable else ", not writable"),
        mend="set OSLOOM_STORE to a directory with some gigabytes of room",
    )


def _emulation() -> Finding:
    """Needed for nothing but what runs in images of the other architecture."""
    start = (
        "import tempfile, pathlib\n"
        "from osloom.engine import emulation, identity, mounts\n"
        "identity.enter(identity.find_identity()); identity.unshare(identity.CLONE_NEWNS)\n"
        "mounts.make_private()\n"
    )
    other = emulation.foreign().architecture
    if not _attempt(start + "emulation.mount_own(pathlib.Path(tempfile.gettempdir()))"):
        message = f"programs of {other} can run in the sandbox"
    elif not _attempt(
        start + "with tempfile.TemporaryDirectory() as place:\n"
        "    assert emulation.is_allowed(pathlib.Path(place))"
    ):
        message = f"programs of {other} run by what this host has registered"
    else:
        message = f"not there: scripts of {other} images need Linux 6.7 or newer"
    return Finding(name="emulation", good=True, message=message)


def _kvm() -> Finding:
    usable = os.access("/dev/kvm", os.R_OK | os.W_OK)
    said = "/dev/kvm can be opened" if usable else "not there: machines are emulated, slowly"
    return Finding(name="kvm", good=True, message=said)


def _network() -> Finding:
    problem = network.problem()
    said = f"{problem}: containers have this host's" if problem else "containers have their own"
    return Finding(name="network", good=True, message=said)
