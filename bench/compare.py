"""Times of osloom beside its peers: the same packages, the same mirror, alternating runs.

Everything is downloaded on both sides before the first measured run. Times are of whole processes.
"""

import argparse
import dataclasses
import json
import os
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from appliances import measure_release, measure_settings, measure_sizes
from booting import compare_boot
from containers import (
    compare_change,
    compare_container,
    made_engines,
    measure_unchanged,
)
from measure import USED, Measured, Osloom, copied, pair, spread, timed
from peers import DEFINITION, Peers, clean, mkosi_options
from writing import Writing

from osloom.model.providers import Debian
from osloom.sources.debian.mirrors import base_address
from osloom.store.store import Store

NOTES = Path(__file__).parent / "notes.md"
PAGE = Path(__file__).parent.parent / "docs/benchmarks.md"

SYSTEM = [
    "systemd-sysv",
    "udev",
    "dbus",
    "linux-image-cloud-amd64",
    "systemd-resolved",
    "apt",
    "openssh-server",
    "iproute2",
    "ca-certificates",
    "curl",
    "nftables",
    "less",
    "vim-tiny",
    "python3",
    "locales",
    "tzdata",
    "sudo",
]

DISK = f"""
[image.disk]
packages = {json.dumps(SYSTEM)}
outputs = ["disk"]
"""
MINIMAL = """
[image.minimal]
packages = ["apt"]
outputs = ["tar"]
"""
MORE = MINIMAL.replace('["apt"]', '["apt", "less"]')
APPLICATION = """
[image.app]
packages = ["python3-minimal"]
configure = "none"
outputs = ["oci"]
files = { "/app/main.py" = "main.py" }
"""


def compare_disk(osloom: Osloom, peers: Peers, place: Path, runs: int) -> Measured:
    seeded = osloom.seeded(DISK, place)
    options = mkosi_options(peers, SYSTEM)
    peers.run(["mkosi", *options, "build"])
    cached = [*options, "--cache-only=always"]

    def ours() -> float:
        clean(osloom.place / "dist")
        fresh = copied(seeded)
        return timed(lambda: osloom("build", store=fresh), fresh)

    def theirs() -> float:
        return timed(
            lambda: peers.run(["mkosi", *cached, "build"]), peers.root, peers.work / "cache"
        )

    mine, others, ratios = pair(ours, theirs, runs)
    count = len(
        json.loads((osloom.place / "osloom.lock").read_text())["images"]["disk"]["packages"]
    )
    return Measured(
        f"bootable disk of {count} packages, downloaded, nothing built, beside mkosi",
        "at least 6 times as fast",
        f"{spread(ratios, 'times')}",
        f"osloom {spread(mine)}; mkosi {spread(others)}",
    )


def compare_tar(osloom: Osloom, peers: Peers, place: Path, runs: int) -> Measured:
    seeded = osloom.seeded(MINIMAL, place)
    mirror = base_address("debian", Debian())
    (peers.work / "debs/partial").mkdir(parents=True, exist_ok=True)
    keep = [
        "--mode=root",
        "--variant=minbase",
        "--skip=essential/unlink",
        "--skip=cleanup/apt/cache",
    ]
    fill = ['--setup-hook=mkdir -p "$1"/var/cache/apt/archives/partial']
    fill += ['--setup-hook=cp /work/debs/*.deb "$1"/var/cache/apt/archives/ || true']
    save = ['--customize-hook=cp "$1"/var/cache/apt/archives/*.deb /work/debs/']
    peers.run(["mmdebstrap", *keep, *fill, *save, "trixie", "/work/out.tar", mirror])

    def ours() -> float:
        clean(osloom.place / "dist")
        fresh = copied(seeded)
        return timed(lambda: osloom("build", store=fresh), fresh)

    def theirs() -> float:
        clean(peers.work / "out.tar")
        command = ["mmdebstrap", "--mode=root", "--variant=minbase", "--skip=essential/unlink"]
        return timed(
            lambda: peers.run([*command, *fill, "trixie", "/work/out.tar", mirror]),
            peers.root,
            peers.work / "debs",
        )

    mine, others, ratios = pair(ours, theirs, runs)
    return Measured(
        "root file system tar, minbase set, beside mmdebstrap",
        "at least 3 times as fast",
        f"{spread(ratios, 'times')}",
        f"osloom {spread(mine)}; mmdebstrap {spread(others)}",
    )


def measure_nothing(osloom: Osloom, runs: int) -> Measured:
    osloom.define(DISK)
    osloom("lock")
    osloom("build")
    times = [timed(lambda: osloom("build")) for _ in range(runs * 3)]
    return Measured(
        "second build, nothing changed", "at most 0.3 s", spread(times), "whole process"
    )


def measure_file(osloom: Osloom, runs: int) -> Measured:
    osloom.define(APPLICATION)
    source = osloom.place / "main.py"
    source.write_text("print(0)\n")
    osloom("lock")
    osloom("build")
    times = []
    for number in range(runs * 2):
        source.write_text(f"print({number + 1}, {time.time_ns()})\n")
        times.append(timed(lambda: osloom("build")))
    return Measured(
        "one file of the definition's own changed, OCI", "at most 1.0 s", spread(times), ""
    )


def measure_package(osloom: Osloom, place: Path, runs: int) -> Measured:
    ratios, times = [], []
    seeded = osloom.seeded(MORE, place)
    for _ in range(runs):
        fresh = copied(seeded)
        osloom.define(MINIMAL)
        osloom("lock", store=osloom.store)
        first = timed(lambda fresh=fresh: osloom("build", store=fresh), fresh)
        osloom.define(MORE)
        osloom("lock", store=osloom.store)
        second = timed(lambda fresh=fresh: osloom("build", store=fresh))
        ratios.append(second / first)
        times.append(second)
    return Measured(
        "one package added, tar",
        "at most half of the first build",
        spread(ratios, "of it"),
        f"the second build {spread(times)}",
    )


def measure_memory(osloom: Osloom, place: Path) -> Measured:
    osloom.define(DISK)
    osloom("lock")
    seeded = osloom.downloaded(place / "seeded")
    pid = os.fork()
    if pid == 0:
        osloom("build", store=seeded)
        # The largest single process of those that osloom and its workers were.
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        (place / "peak").write_text(str(peak))
        os._exit(0)
    os.waitpid(pid, 0)
    peak = int((place / "peak").read_text()) / 1024
    return Measured(
        "peak memory of the osloom process on the disk build",
        "at most 400 MiB",
        f"{peak:.0f} MiB",
        "the largest of osloom and its worker processes",
    )


def compare_layers(osloom: Osloom, place: Path, runs: int) -> Measured:
    writing = Writing(place / "writing", Store(osloom.store), SYSTEM)

    def ours() -> float:
        writing.forget()
        return timed(writing.ours)

    mine, others, ratios = pair(ours, lambda: timed(writing.theirs), runs * 2)
    writing.executor.stop()
    size = writing.tree.size >> 20
    return Measured(
        f"{len(writing.layers)} layers of {size} MiB written and hashed, beside `tar \\| zstd`",
        "at most 2 times as long",
        spread([1 / ratio for ratio in ratios], "times"),
        f"osloom {spread(mine)}; tar {spread(others)}; both at level 3 on all cores",
    )


def page(rows: Sequence[Measured]) -> str:
    cores = len(os.sched_getaffinity(0))
    lines = [
        "# Benchmarks",
        "",
        "Written by `bench/run`; each pair in turn, on the same packages and mirror.",
        "Everything is downloaded on both sides; figures are minimum / median / maximum.",
        f"Measured on {cores} cores, {platform.machine()}, Linux {platform.release().split('-')[0]}.",
        "",
        "```sh",
        "bench/run",
        "```",
        "",
        "| work | target | figure | detail |",
        "| --- | --- | --- | --- |",
    ]
    lines += [f"| {row.work} | {row.target} | {row.figure} | {row.detail} |" for row in rows]
    return "\n".join(lines) + "\n" + NOTES.read_text()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="pairs for each comparison")
    parser.add_argument("--only", help="measure one row: disk, tar, layers, container …")
    parser.add_argument("--keep", type=Path, help="a directory to keep downloads in")
    arguments = parser.parse_args()
    place = arguments.keep or Path(tempfile.mkdtemp(prefix="osloom-bench-"))
    place.mkdir(parents=True, exist_ok=True)
    osloom = Osloom(place / "project", place / "store")
    runs = arguments.runs
    work: dict[str, Callable[[], Measured]] = {
        "disk": lambda: compare_disk(osloom, made_peers(osloom, place), place, runs),
        "tar": lambda: compare_tar(osloom, made_peers(osloom, place), place, runs),
        "nothing": lambda: measure_nothing(osloom, runs),
        "file": lambda: measure_file(osloom, runs),
        "package": lambda: measure_package(osloom, place, runs),
        "memory": lambda: measure_memory(osloom, place),
        "layers": lambda: compare_layers(osloom, place, runs),
        "container": lambda: compare_container(osloom, engines(osloom, place), place, runs),
        "change": lambda: compare_change(osloom, engines(osloom, place), place, runs),
        "appliance-settings": lambda: measure_settings(osloom, place, runs),
        "appliance-release": lambda: measure_release(osloom, place, runs),
        "appliance-sizes": lambda: measure_sizes(osloom, place),
        "boot": lambda: compare_boot(osloom, made_peers(osloom, place), place, runs),
        "unchanged": lambda: measure_unchanged(osloom, engines(osloom, place), place, runs),
    }
    kept = place / "rows.json"
    rows = json.loads(kept.read_text()) if kept.exists() else {}
    for name, measure in work.items():
        if arguments.only is None or arguments.only == name:
            print(name, file=sys.stderr)
            row = measure()
            clean(place / USED)
            rows[name] = dataclasses.asdict(row)
            kept.write_text(json.dumps(rows))
            print(f"{row.work}: {row.figure} ({row.detail})", flush=True)
    if rows.keys() == work.keys():
        PAGE.write_text(page([Measured(**rows[name]) for name in work]))
    return 0


def made_peers(osloom: Osloom, place: Path) -> Peers:
    target = place / "peers"
    tools = place / "tools"
    if not (target / "root").exists():
        builder = Osloom(place / "peers-project", osloom.store)
        builder.define(DEFINITION)
        builder("lock")
        builder("build")
        return Peers.unpack(
            builder.place / "dist/peers/peers.tar", tools_root(builder, tools), target
        )
    return Peers(target / "root", Path((place / "tools").read_text()), target / "work")


def engines(osloom: Osloom, place: Path) -> Peers:
    made_peers(osloom, place)
    return made_engines(osloom, place, Path((place / "tools").read_text()))


def tools_root(builder: Osloom, note: Path) -> Path:
    """The tools image's directory, which has bubblewrap."""
    for root in (builder.store / "roots").iterdir():
        if (root / "usr/bin/bwrap").exists():
            note.write_text(str(root))
            return root
    raise SystemExit("no root has bubblewrap")


if __name__ == "__main__":
    sys.exit(main())
