"""podman and docker of Debian, listening on sockets; each keeps what it has below one directory.

They run as root in a root of their own, made by bubblewrap, without a network.
"""

import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from osloom.engine.tools import start_from

_PLACES = ("sys", "mnt", "tmp", "run", "var", "proc", "dev", "etc/containers")

PODMAN = ("podman", "system", "service", "--time=0", "unix:///mnt/socket")
DOCKER = (
    *("dockerd", "--host=unix:///mnt/socket", "--storage-driver=vfs", "--bridge=none"),
    *("--iptables=false", "--ip6tables=false", "--ip-forward=false"),
    *("--data-root=/mnt/data", "--exec-root=/mnt/exec", "--pidfile=/mnt/pid"),
)


def _inside(root: Path, directory: Path, *, network: bool) -> list[str]:
    """How a command is started in the unpacked tree `root`, with `directory` at /mnt."""
    directory.mkdir(parents=True)
    for place in _PLACES:
        (root / place).mkdir(parents=True, exist_ok=True)
    (directory / "containers.conf").write_text(
        '[engine]\nevents_logger = "none"\ncgroup_manager = "cgroupfs"\n'
    )
    (directory / "storage.conf").write_text(
        '[storage]\ndriver = "vfs"\nrunroot = "/mnt/run"\ngraphroot = "/mnt/graph"\n'
    )
    (directory / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    policy = (os.fspath(directory / "policy.json"), "/etc/containers/policy.json")
    return [
        *start_from(root, "usr/bin/bwrap"),
        *("--die-with-parent", "--unshare-pid", "--cap-add", "ALL"),
        *(() if network else ("--unshare-net",)),
        # crun knows nothing of hosts with both kinds of control groups.
        *("--ro-bind", os.fspath(root), "/", "--ro-bind", "/sys", "/sys"),
        *("--tmpfs", "/sys/fs/cgroup"),
        *("--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs", "/run"),
        *("--tmpfs", "/var", "--dir", "/var/tmp", "--tmpfs", "/etc/containers"),
        *("--bind", os.fspath(directory), "/mnt", "--ro-bind", *policy),
        *("--clearenv", "--setenv", "PATH", "/usr/bin:/usr/sbin", "--setenv", "HOME", "/tmp"),
        *("--setenv", "CONTAINERS_CONF", "/mnt/containers.conf"),
        *("--setenv", "CONTAINERS_STORAGE_CONF", "/mnt/storage.conf", "--"),
    ]


def podman_run(root: Path, directory: Path, reference: str, *arguments: str) -> str:
    """What a container says that podman pulls from a registry of this machine and runs."""
    options = ("--tls-verify=false", "--network=none", "--cgroups=disabled", "--rm")
    words = [*_inside(root, directory, network=True), "podman", "run", *options]
    words += ["--security-opt=seccomp=unconfined", reference, *arguments]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def engine(root: Path, directory: Path, command: Sequence[str]) -> Iterator[Path]:
    """The socket of an engine of the unpacked tree `root`."""
    words = [*_inside(root, directory, network=False), *command]
    log = directory / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(words, stdout=output, stderr=subprocess.STDOUT)
    try:
        _wait(process, directory / "socket", log)
        yield directory / "socket"
    finally:
        process.kill()
        process.wait()


def _wait(process: "subprocess.Popen[bytes]", socket: Path, log: Path) -> None:
    for _ in range(600):
        assert process.poll() is None, log.read_text()
        try:
            if ask(socket, "_ping") is not None:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError(log.read_text())


def ask(socket: Path, path: str) -> Any:
    """What the engine says about `path` of its API."""
    transport = httpx.HTTPTransport(uds=os.fspath(socket))
    with httpx.Client(transport=transport, timeout=60) as http:
        answer = http.get(f"http://engine/v1.41/{path}" if path != "_ping" else "http://e/_ping")
        return answer.json() if path != "_ping" else answer.text
