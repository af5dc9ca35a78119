"""What pulls re-send over real updates, by how packages are put into layers: docs/layering.md.

Each image is built of what a point release holds, and again with what its security and update
suites have brought since; a synthetic application has ten releases. The trees and what writes the
layers are the same for all strategies.
"""

import argparse
import dataclasses
import functools
import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from drawing import bars
from strategies import COMPARED, MOST, STRATEGIES, Strategy

from osloom.api.lock import lock
from osloom.api.plan import plan_one
from osloom.api.project import open_project, open_store
from osloom.api.requests import TOOLS
from osloom.api.session import Session
from osloom.assemble import formats, oci
from osloom.assemble.request import Product, Request
from osloom.base.progress import silent
from osloom.compose.plan import plan_tools
from osloom.model.lock import Lock
from osloom.store.store import Store

DOCS = Path(__file__).parent.parent / "docs"
SUITES = ("trixie", "bookworm")
BEGIN, END = "<!-- written by bench/layers.py -->", "<!-- end -->"

SERVER = [
    "systemd-sysv",
    "udev",
    "dbus",
    "openssh-server",
    "curl",
    "git",
    "python3",
    "perl",
    "ca-certificates",
    "iproute2",
    "nftables",
    "less",
    "vim-tiny",
    "sudo",
    "rsync",
    "tmux",
    "locales",
    "tzdata",
    "apt",
    "systemd-resolved",
    "gnupg",
    "jq",
    "lsof",
    "strace",
    "tcpdump",
    "bash-completion",
    "man-db",
    "cron",
    "logrotate",
    "chrony",
    "htop",
    "wget",
    "bzip2",
    "xz-utils",
    "file",
    "bind9-dnsutils",
]
MEDIA = [
    "ffmpeg",
    "imagemagick",
    "gstreamer1.0-tools",
    "gstreamer1.0-plugins-good",
    "gstreamer1.0-plugins-bad",
    "gstreamer1.0-libav",
]
IMAGES: Mapping[str, tuple[str, Sequence[str]]] = {
    "python": ("none", ["python3-minimal"]),
    "nginx": ("none", ["nginx"]),
    "postgresql": ("dpkg", ["postgresql"]),
    "server": ("dpkg", SERVER),
    "media": ("none", MEDIA),
}
"""Whether scripts run, and what is asked for."""

RELEASES = 10
ADDED = (4, "python3-requests")
UPDATED = (7, ("libssl3t64", "openssl-provider-legacy"))
"""All that the image has of one source package."""


@dataclass
class Step:
    """One image before and after an update."""

    title: str
    packages: int
    changed: int
    """Packages of the new image that the former does not have in this version."""
    pulled: dict[str, int] = field(default_factory=dict)
    """Bytes, by strategy."""
    first: dict[str, int] = field(default_factory=dict)
    """Bytes of a first pull of the new image."""


Blobs = Mapping[str, int]
"""Sizes by digest: layers, configuration and manifest."""


class Replay:
    """Builds every image by every strategy."""

    def __init__(self, place: Path, store: Store) -> None:
        self.place = place
        self.store = store

    def lock(self, directory: Path, definition: str, upgrade: tuple[str, ...] = ()) -> Lock:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "osloom.toml").write_text(definition)
        project = open_project(directory / "osloom.toml")
        return lock(project, self.store, silent, now=int(time.time()), upgrade=upgrade).lock

    def build(self, directory: Path) -> dict[str, dict[str, Blobs]]:
        """The blobs of each image, by strategy."""
        project = open_project(directory / "osloom.toml")
        locked = project.lock()
        with Session(project, locked, self.store, silent) as session:
            planned = []
            for name, image in project.definition.image.items():
                depends = {one.name: one.depends for one in locked.packages_of(name)}
                known = {
                    key: functools.partial(assemble, strategy, depends)
                    for key, strategy in STRATEGIES.items()
                }
                formats.FORMATS.update(known)  # type: ignore[attr-defined]
                tools = plan_tools(locked.packages_of(TOOLS))
                base = (tools, project.definition.debian.suite)
                planned += plan_one(session, name, image, list(known), base)[1]
            digests = session.make([one.product.output for one in planned])
        found: dict[str, dict[str, Blobs]] = {}
        for one, digest in zip(planned, digests, strict=True):
            layout = self.store.load_tree(digest)
            blobs = {path: node.size for path, node in layout.items() if "/sha256/" in path}
            found.setdefault(one.image, {})[one.format] = blobs
        return found


def assemble(
    strategy: Strategy, depends: Mapping[str, Sequence[str]], request: Request
) -> tuple[Product, ...]:
    settings = msgspec.structs.replace(request.image.oci, layers=min(strategy.layers, MOST))
    image = msgspec.structs.replace(request.image, oci=settings)
    groups = strategy(request.parts, depends)
    return oci.plan_grouped(dataclasses.replace(request, image=image), groups)


def definition(suite: str, *, updates: bool) -> str:
    word = json.dumps(updates)
    text = f'[project]\nname = "history"\n[debian]\nsuite = "{suite}"\n'
    text += f"security = {word}\nupdates = {word}\n"
    for name, (configure, packages) in IMAGES.items():
        text += f'[image.{name}]\npackages = {json.dumps(packages)}\nconfigure = "{configure}"\n'
        text += 'outputs = ["oci"]\n'
    return text


def application(number: int) -> str:
    packages = ["python3-minimal", "python3-flask"]
    packages += [ADDED[1]] if number >= ADDED[0] else []
    updates = json.dumps(number >= UPDATED[0])
    return f"""
[project]
name = "shop"
version = "{number}"
[debian]
suite = "trixie"
security = {updates}
updates = {updates}
[image.shop]
packages = {json.dumps(packages)}
configure = "none"
files = {{ "/app" = "src" }}
outputs = ["oci"]
[image.shop.oci]
entrypoint = ["/usr/bin/python3", "/app/module0.py"]
"""


def write_sources(directory: Path, number: int) -> None:
    """Thirty modules, of which each release changes three."""
    directory.mkdir(parents=True, exist_ok=True)
    for module in range(30):
        changed = max((one for one in range(number + 1) if module % 10 == one % 10), default=0)
        lines = [
            f"def f{line}(x):\n    return x * {module} + {line * 7919 + changed}\n\n\n"
            for line in range(60)
        ]
        (directory / f"module{module}.py").write_text("".join(lines))


def compared(
    title: str, before: Mapping[str, Blobs], after: Mapping[str, Blobs], locks: Sequence[set[str]]
) -> Step:
    old, new = locks
    step = Step(title=title, packages=len(new), changed=len(new - old))
    for name, blobs in after.items():
        step.first[name] = sum(blobs.values())
        step.pulled[name] = sum(size for one, size in blobs.items() if one not in before[name])
    return step


def replay_suite(replay: Replay, suite: str) -> tuple[list[Step], dict[str, int]]:
    """A step for each image, and what a registry holds of them all after it, by strategy."""
    built, locks = [], []
    for updates in (False, True):
        directory = replay.place / f"{suite}-{'after' if updates else 'before'}"
        locks.append(replay.lock(directory, definition(suite, updates=updates)))
        built.append(replay.build(directory))
    steps = [
        compared(
            f"{suite}, {name}",
            built[0][name],
            built[1][name],
            [set(one.images[name].packages) for one in locks],
        )
        for name in IMAGES
    ]
    kept = {
        key: sum(
            {one: size for name in IMAGES for one, size in built[1][name][key].items()}.values()
        )
        for key in STRATEGIES
    }
    return steps, kept


def replay_application(replay: Replay) -> list[Step]:
    directory = replay.place / "application"
    steps: list[Step] = []
    before: Mapping[str, Blobs] | None = None
    names: set[str] = set()
    for number in range(1, RELEASES + 1):
        write_sources(directory / "src", number)
        upgrade = UPDATED[1] if number == UPDATED[0] else ()
        locked = replay.lock(directory, application(number), upgrade)
        now = set(locked.images["shop"].packages)
        after = replay.build(directory)["shop"]
        if before is not None:
            steps.append(compared(f"application, release {number}", before, after, [names, now]))
        before, names = after, now
    return steps


def table(
    steps: Sequence[Step], keys: Sequence[str], sizes: Callable[[Step], dict[str, int]]
) -> str:
    lines = [
        "| update | packages | changed | "
        + " | ".join(STRATEGIES[key].title for key in keys)
        + " |"
    ]
    lines.append("| --- | ---: | ---: |" + " ---: |" * len(keys))
    for step in steps:
        values = [sizes(step)[key] for key in keys]
        least = min(sizes(step)[key] for key in COMPARED)
        words = [
            f"**{value:,}**" if value == least and key in COMPARED else f"{value:,}"
            for key, value in zip(keys, values, strict=True)
        ]
        lines.append(f"| {step.title} | {step.packages} | {step.changed} | {' | '.join(words)} |")
    totals = [sum(sizes(step)[key] for step in steps) for key in keys]
    lines.append(f"| **total** | | | {' | '.join(f'{value:,}' for value in totals)} |")
    return "\n".join(lines)


def page(steps: Sequence[Step], kept: Mapping[str, Mapping[str, int]], dates: str) -> str:
    keys = list(STRATEGIES)
    lines = [dates, "", "KiB re-sent:", ""]
    lines += [
        table(
            steps, keys, lambda step: {key: round(one / 1024) for key, one in step.pulled.items()}
        )
    ]
    lines += ["", "![KiB re-sent over all updates](layering.svg)", ""]
    lines += ["MiB of all five images in one registry, after the update:", ""]
    lines += ["| suite | " + " | ".join(STRATEGIES[key].title for key in keys) + " |"]
    lines += ["| --- |" + " ---: |" * len(keys)]
    for suite, sizes in kept.items():
        lines += [f"| {suite} | " + " | ".join(f"{sizes[key] / 2**20:.1f}" for key in keys) + " |"]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=Path, help="a directory to keep the projects in")
    arguments = parser.parse_args()
    place = arguments.keep or Path(tempfile.mkdtemp(prefix="osloom-layers-"))
    replay = Replay(place, open_store())
    steps: list[Step] = []
    kept: dict[str, dict[str, int]] = {}
    dates = []
    for suite in SUITES:
        found, kept[suite] = replay_suite(replay, suite)
        steps += found
        dates.append(history(place, suite))
    steps += replay_application(replay)
    text = page(steps, kept, "\n".join(dates))
    path = DOCS / "layering.md"
    head, _, rest = path.read_text().partition(BEGIN)
    path.write_text(f"{head}{BEGIN}\n\n{text}\n\n{END}{rest.partition(END)[2]}")
    totals = {STRATEGIES[key].title: sum(step.pulled[key] for step in steps) for key in COMPARED}
    (DOCS / "layering.svg").write_text(bars("MiB re-sent over all updates", totals))
    print(text)
    return 0


def history(place: Path, suite: str) -> str:
    """What the two locks of a suite are, in a line."""
    days = []
    for when in ("before", "after"):
        repositories = json.loads((place / f"{suite}-{when}/osloom.lock").read_text())[
            "repositories"
        ]
        own = [one["date"] for one in repositories if one["suite"].startswith(suite)]
        days.append(time.strftime("%Y-%m-%d", time.gmtime(max(own))))
    return f"{suite}: the point release of {days[0]}, against security and updates of {days[1]}."


if __name__ == "__main__":
    raise SystemExit(main())
