"""Containers beside buildah: the same packages, the same base, the same registry."""

import contextlib
import re
import shutil
import socket
import statistics
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from measure import Measured, Osloom, copied, pair, spread, timed
from peers import Peers, clean

from osloom.engine.tools import start_from
from osloom.model.providers import Debian
from osloom.sources.debian.mirrors import base_address

ENGINES = """
[project]
name = "engines"
[image.engines]
packages = ["buildah", "ca-certificates", "crun", "docker-registry", "netavark"]
outputs = ["tar"]
[image.base]                       # what debian:trixie is to those who start from it
packages = ["apt"]
configure = "dpkg"
outputs = ["oci"]
"""
APPLICATION = """
[image.app]
packages = ["python3-minimal"]
outputs = ["oci"]
"""
WITH_FILES = (
    APPLICATION
    + """
files = { "/app" = "src" }
[image.app.oci]
entrypoint = ["python3", "/app/main.py"]
"""
)
INSTALL = "apt-get install -y --no-install-recommends python3-minimal"
CONTAINERFILE = f"""
FROM oci:/work/base.oci
COPY sources /etc/apt/sources.list
RUN {INSTALL}
ENTRYPOINT ["/usr/bin/python3"]
"""
COPIED = CONTAINERFILE.replace("ENTRYPOINT", "COPY src /app\nENTRYPOINT")


class Buildah:
    """buildah as root in an image of its own, with native overlays and no network set-up."""

    def __init__(self, peers: Peers) -> None:
        self._peers = peers
        self.work = peers.work
        policy = peers.root / "etc/containers/policy.json"
        policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}\n')
        debian = Debian()
        sources = {"debian": ("trixie", "trixie-updates"), "debian-security": ("trixie-security",)}
        lines = [
            f"deb {base_address(source, debian)} {suite} main\n"
            for source, suites in sources.items()
            for suite in suites
        ]
        (self.work / "sources").write_text("".join(lines))
        for name in ("archives/partial", "lists/partial"):
            (self.work / name).mkdir(parents=True, exist_ok=True)

    def __call__(self, *words: str) -> None:
        storage = ["--storage-driver", "overlay", "--root", "/work/storage"]
        self._peers.run(["buildah", *storage, "--runroot", "/work/runroot", *words])

    def build(self, *options: str) -> None:
        # What it wants by default is more than this process may have.
        words = ["build", "--isolation", "chroot", "--network", "host", "--tag", "app"]
        for limit in ("nofile", "nproc"):
            import resource

            hard = resource.getrlimit(getattr(resource, f"RLIMIT_{limit.upper()}"))[1]
            words += ["--ulimit", f"{limit}={hard}:{hard}"]
        for name, place in (
            ("archives", "/var/cache/apt/archives"),
            ("lists", "/var/lib/apt/lists"),
        ):
            words += ["--volume", f"/work/{name}:{place}"]
        self(*words, *options, "--file", "Containerfile", ".")

    def write(self, text: str) -> None:
        (self.work / "Containerfile").write_text(text)

    def forget(self) -> None:
        """No image but the base, as when nothing was built yet."""
        self("rmi", "--all", "--force")
        self("pull", "--quiet", "oci:/work/base.oci")


def prepared(osloom: Osloom, peers: Peers) -> Buildah:
    """With the base, and every package and index downloaded."""
    base = peers.work / "base.oci"
    if not base.exists():
        shutil.copytree(osloom.place.parent / "engines-project/dist/base/base.oci", base)
    buildah = Buildah(peers)
    keep = "sh -c 'echo Binary::apt::APT::Keep-Downloaded-Packages true\\; >/etc/apt/apt.conf.d/k'"
    buildah.write(CONTAINERFILE.replace(INSTALL, f"{keep} && apt-get update && {INSTALL}"))
    buildah.build()
    return buildah


def layout_size(layout: Path) -> int:
    return sum(path.stat().st_size for path in layout.rglob("*") if path.is_file())


def compare_container(osloom: Osloom, peers: Peers, place: Path, runs: int) -> Measured:
    buildah = prepared(osloom, peers)
    seeded = osloom.seeded(APPLICATION, place)
    ours_size = layout_size(osloom.place / "dist/app/app.oci")

    def ours() -> float:
        clean(osloom.place / "dist")
        fresh = copied(seeded)
        return timed(lambda: osloom("build", store=fresh), fresh)

    def theirs() -> float:
        buildah.write(CONTAINERFILE)
        buildah.forget()
        return timed(buildah.build, peers.root, peers.work / "archives", peers.work / "lists")

    mine, others, ratios = pair(ours, theirs, runs)
    clean(peers.work / "out.oci")
    buildah("push", "--quiet", "app", "oci:/work/out.oci")
    theirs_size = layout_size(peers.work / "out.oci")
    share = f"{ours_size / theirs_size:.2f} of the size"
    return Measured(
        "python3-minimal container, downloaded, nothing built, beside buildah with apt-get",
        "at least 8 times as fast, at most a third of the size",
        f"{spread(ratios, 'times')}, {share}",
        f"osloom {spread(mine)}, {ours_size / 1e6:.1f} MB; "
        f"buildah {spread(others)}, {theirs_size / 1e6:.1f} MB (both compressed)",
    )


@contextlib.contextmanager
def registry(peers: Peers, log: Path) -> Iterator[str]:
    """A registry on loopback with what it keeps below the peers' directory; gives its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    storage = peers.work / "registry"
    clean(storage)
    storage.mkdir()
    configuration = log.with_suffix(".yml")
    configuration.write_text(
        "version: 0.1\nlog: {accesslog: {disabled: false}, level: error}\n"
        f"storage: {{filesystem: {{rootdirectory: {storage}}}}}\nhttp: {{addr: '{address}'}}\n"
    )
    command = [*start_from(peers.root, "usr/bin/docker-registry"), "serve", str(configuration)]
    with (
        log.open("wb") as output,
        subprocess.Popen(command, stdout=output, stderr=output) as server,
    ):
        try:
            for _ in range(100):
                with (
                    contextlib.suppress(OSError),
                    socket.create_connection(
                        ("127.0.0.1", int(address.rpartition(":")[2])), timeout=1
                    ),
                ):
                    break
                time.sleep(0.1)
            yield address
        finally:
            server.terminate()


def compare_change(osloom: Osloom, peers: Peers, place: Path, runs: int) -> Measured:
    buildah = prepared(osloom, peers)
    osloom.define(WITH_FILES)
    sources = (osloom.place / "src", peers.work / "src")
    for directory in sources:
        directory.mkdir(exist_ok=True)
        (directory / "main.py").write_text("print(0)\n")
    buildah.write(COPIED)
    osloom("lock")
    with registry(peers, place / "registry.log") as address:

        def change() -> None:
            for directory in sources:
                (directory / "main.py").write_text(f"print({time.time_ns()})\n")

        def push_ours() -> None:
            osloom("push", "--to", f"{address}/ours")

        def push_theirs() -> None:
            buildah.build("--layers")
            buildah(
                "push", "--quiet", "--tls-verify=false", "app", f"docker://{address}/theirs/app:1"
            )

        push_ours()
        push_theirs()

        def ours() -> float:
            change()
            return timed(push_ours)

        def theirs() -> float:
            change()
            return timed(push_theirs)

        mine, others, ratios = pair(ours, theirs, runs * 3)
    return Measured(
        "one source file changed: build and push, beside buildah with its cache",
        "at least 5 times as fast",
        spread(ratios, "times"),
        f"osloom {spread(mine)}; buildah {spread(others)}",
    )


def measure_unchanged(osloom: Osloom, peers: Peers, place: Path, runs: int) -> Measured:
    images = "".join(APPLICATION.replace("app", f"app-{number}") for number in range(10))
    osloom.define(images)
    osloom("lock")
    log = place / "registry.log"
    with registry(peers, log) as address:
        push = ("push", "--to", f"{address}/ten")
        osloom(*push)
        times, requests = [], []
        for _ in range(runs * 3):
            before = log.stat().st_size
            times.append(timed(lambda: osloom(*push)))
            time.sleep(0.5)
            text = log.read_bytes()[before:].decode()
            requests.append(len(re.findall(r'"(?:GET|HEAD|PUT|POST|PATCH) ', text)))
    return Measured(
        "unchanged build and push of ten images",
        "at most 0.6 s and 10 manifest requests",
        f"{spread(times)}, {statistics.median(requests):.0f} requests",
        "whole process; every request that the registry saw",
    )


def made_engines(osloom: Osloom, place: Path, tools: Path) -> Peers:
    target = place / "engines"
    builder = Osloom(place / "engines-project", osloom.store)
    if not (target / "root").exists():
        builder.define(ENGINES)
        builder("lock")
        builder("build")
        return Peers.unpack(builder.place / "dist/engines/engines.tar", tools, target)
    return Peers(target / "root", tools, target / "work")
