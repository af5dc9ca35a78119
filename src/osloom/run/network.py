"""The network of a container: its own, connected by pasta(1), without root.

pasta is a user-mode stack: it opens a tun device in the container's network namespace, and sockets
in the caller's. What the container sends goes out as the caller's own connections; of this host's
ports those lead in that were asked for.
"""

import ctypes
import fcntl
import os
import re
import select
import socket
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec

from osloom.base.errors import BuildError, UsageError
from osloom.engine.tools import start_from
from osloom.run.machine import Forward

CLONE_NEWNET = 0x40000000
_SIOCSIFFLAGS = 0x8914
_IFF_UP, _IFF_RUNNING = 0x1, 0x40
_TUN = "/dev/net/tun"
_UNPRIVILEGED = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")

_NAME_SERVER = "169.254.1.1"
"""An address of no network, RFC 3927, at which pasta takes the questions for the host's servers."""
_HOST = "169.254.1.2"
"""The same for the host itself."""

_libc = ctypes.CDLL(None, use_errno=True)


class Names(msgspec.Struct, frozen=True):
    """How names are looked up: texts of /etc/hosts and /etc/resolv.conf."""

    hosts: str
    resolver: str


def problem() -> str | None:
    """Why a container cannot have a network of its own here; None if it can."""
    try:
        os.close(os.open(_TUN, os.O_RDWR))
    except OSError as error:
        return f"{_TUN} cannot be opened ({(error.strerror or '').lower()})"
    return None


def names(network: str, hostname: str) -> Names:
    """`network` is `own`, `none` or `host`."""
    hosts, resolver = (_read(f"/etc/{name}") for name in ("hosts", "resolv.conf"))
    if network == "host":
        return Names(hosts, resolver)
    own = f"127.0.0.1 localhost {hostname}\n::1 localhost ip6-localhost ip6-loopback\n"
    if network == "none":
        return Names(own, "")
    kept = [line for line in resolver.splitlines() if line.startswith(("search", "options"))]
    lines = [f"nameserver {_NAME_SERVER}", *kept, ""]
    return Names(f"{own}{_HOST} host.containers.internal\n", "\n".join(lines))


def _read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""


def parse_forward(text: str) -> Forward:
    """`8080`, `8080:80` or `ADDRESS:8080:80`. Raises UsageError for anything else."""
    found = re.fullmatch(r"(?:(?:([0-9.]+):)?([0-9]+):)?([0-9]+)", text)
    if found is None or not all(0 < int(port) < 65536 for port in found.groups()[1:] if port):
        raise UsageError(f"cannot read the port `{text}`", hint="write it as 8080:80")
    address, host, guest = found.groups()
    kept = {"address": address} if address else {}
    return Forward(host=int(host or guest), guest=int(guest), **kept)


def is_free(forward: Forward) -> bool:
    """Whether pasta can listen on the host's end now: it gives up what root may before it does."""
    if forward.host < int(_UNPRIVILEGED.read_text()):
        return False
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((forward.address, forward.host))
        except OSError:
            return False
        return True


def prepare() -> None:
    """Make this process's network namespace, a new one, ready: `lo` is up, netdevice(7).

    A program that is not root may listen on port 80, ip-sysctl: no other network sees it.
    """
    with socket.socket() as one:
        flags = struct.pack("16sh14x", b"lo", _IFF_UP | _IFF_RUNNING)
        fcntl.ioctl(one, _SIOCSIFFLAGS, flags)
    _UNPRIVILEGED.write_text("0")


def enter_network(process: int) -> None:
    """Make the network namespace of `process` this one's, setns(2)."""
    handle = os.open(f"/proc/{process}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.setns(handle, CLONE_NEWNET) != 0:
            code = ctypes.get_errno()
            raise BuildError(f"cannot enter the container's network: {os.strerror(code)}")
    finally:
        os.close(handle)


def connect(process: int, programs: Path, forwards: Sequence[Forward], work: Path) -> None:
    """Connect the network namespace of `process` with this one's; it is connected on return.

    pasta is a child of the caller, who has to see to its end. Raises BuildError with its words.
    """
    ready, log = work / "network.ready", work / "network.log"
    os.mkfifo(ready)
    reader = os.open(ready, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    words = [*start_from(programs, "usr/bin/pasta"), "--foreground", "--pid", os.fspath(ready)]
    words += ["--config-net", "--dns-forward", _NAME_SERVER, "--map-guest-addr", _HOST]
    words += ["--no-map-gw", "--netns", f"/proc/{process}/ns/net"]
    for one in forwards:
        words += ["--tcp-ports", f"{one.address}/{one.host}:{one.guest}"]
    words += [] if forwards else ["--tcp-ports", "none"]
    words += ["--udp-ports", "none", "--tcp-ns", "none", "--udp-ns", "none"]
    with log.open("wb") as said:
        pasta = subprocess.Popen(
            words, env={}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said
        )
    poll = select.poll()
    handle = os.pidfd_open(pasta.pid)
    poll.register(reader, select.POLLIN)
    poll.register(handle, select.POLLIN)
    # It writes its number when it is ready, and ends when it cannot be.
    is_ready = any(one == reader for one, _ in poll.poll())
    os.close(handle)
    os.close(reader)
    if not is_ready:
        lines = log.read_text(errors="replace").strip().splitlines()
        raise BuildError(
            f"cannot connect the container's network: {lines[-1] if lines else 'pasta ended'}",
            hint="run it with `--network host`",
        )
