"""OCI images of a closure of Nix: all layers of it, and one leaf of it changed.

The closure is that of `nix.py`, fetched; nothing of the image is made. Beside it dockerTools' layer
writer (`layered_stream.py`), uncompressed, and as `buildLayeredImage` makes of it what people load:
the same through pigz. Then a path that nothing refers to changes, and the image is built and pushed
to a docker-registry on loopback.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from measure import Osloom, copied, pair, spread, timed
from nix import FETCH, Closure

from osloom.engine.tools import start_from

sys.path.insert(0, os.fspath(Path(__file__).parent.parent / "tests"))

from support.programs import Programs
from support.registry import running

STREAM = Path(__file__).parent / "layered_stream.py"
BUILDS = {
    "none": "uncompressed",
    "gzip": "both through pigz",
    "zstd": "zstd, beside pigz: the defaults",
}
"""How osloom compresses, and beside what that is measured."""
MOST = 100
"""Layers: dockerTools' default, and osloom's."""
DEFINITION = """
[[nix.cache]]
url = "file://{cache}"
keys = ["{key}"]

[image.app]
nix = ["{path}"]
outputs = ["oci"]

[image.app.oci]
compression = "{compression}"
"""


TOP = """
builtins.derivation {
  name = "top-1.NUMBER";
  system = builtins.currentSystem;
  builder = "${p.busybox}/bin/sh";
  args = [ "-euc" "echo NUMBER ${builtins.storePath "ROOT"} > $out" ];
}
"""


class Image:
    """The closure as an image of osloom."""

    def __init__(self, place: Path, closure: Closure) -> None:
        self.closure = closure
        self.osloom = Osloom(place / "project", place / "store")
        self.place = place

    def define(self, path: str, compression: str) -> None:
        self.osloom.define(
            DEFINITION.format(
                cache=self.closure.cache("none"),
                key=self.closure.world.key,
                path=path,
                compression=compression,
            )
        )

    def seeded(self, compression: str) -> Path:
        """A store with all paths, and nothing made of them."""
        self.define(self.closure.root, compression)
        self.osloom("lock")
        self.osloom("build")
        seeded = self.osloom.downloaded(self.place / f"seeded-{compression}")
        words = [sys.executable, "-c", FETCH, seeded, self.closure.place / "paths.json"]
        url = f"file://{self.closure.cache('none')}"
        subprocess.run([*words, url, self.closure.world.key], check=True)
        return seeded

    def build(self, seeded: Path) -> float:
        shutil.rmtree(self.osloom.place / "dist", ignore_errors=True)
        store = copied(seeded)
        return timed(lambda: self.osloom("build", store=store), store / "blobs")


class Stream:
    """dockerTools' way to the same."""

    def __init__(self, place: Path, store: Path, closure: Closure) -> None:
        self.paths = closure.world.directory / "nix/store"
        names = [path.name for path in closure.paths]
        groups = [*([name] for name in names[: MOST - 1]), names[MOST - 1 :]]
        self.groups = place / "groups.json"
        self.groups.write_text(json.dumps([some for some in groups if some]))
        self.target = place / "image.tar"
        (place / "pigz").mkdir()
        self.pigz = start_from(Programs(place / "pigz", store, "pigz").root, "usr/bin/pigz")
        self.names = names

    def build(self, *, compressed: bool) -> float:
        words = [sys.executable, STREAM, self.paths, self.groups]

        def run() -> None:
            with self.target.open("wb") as file:
                if not compressed:
                    subprocess.run(words, stdout=file, check=True)
                    return
                with subprocess.Popen(words, stdout=subprocess.PIPE) as stream:
                    pigz = [*self.pigz, "-p2", "-nT"]
                    subprocess.run(pigz, stdin=stream.stdout, stdout=file, check=True)

        return timed(run, *(self.paths / name for name in self.names))


def changed(image: Image, registry: Path, runs: int) -> tuple[list[float], list[float]]:
    """Seconds of `osloom push` of each of `runs` versions of the closure's uppermost path, and how
    many of them a processor worked for it: who else uses this machine does not show in those."""
    closure, osloom = image.closure, image.osloom
    versions = [
        closure.world.build(TOP.replace("ROOT", closure.root).replace("NUMBER", str(number)))
        for number in range(runs + 1)
    ]
    for path in versions:
        closure.world.copy(closure.cache("none"), path, compression="none")
    times, worked = [], []
    with running(registry, image.place / "served") as server:
        for number, path in enumerate(versions):
            image.define(path, "zstd")
            osloom("lock")
            before = os.times()
            seconds = timed(lambda: osloom("push", "--to", f"{server.address}/team"))
            after = os.times()
            if number:
                times.append(seconds)
                worked.append(sum(after[2:4]) - sum(before[2:4]))
    return times, worked


def report(work: str, ours: Callable[[], float], theirs: Callable[[], float], runs: int) -> None:
    mine, others, ratios = pair(ours, theirs, runs)
    print(f"{work}: osloom {spread(mine)}, dockerTools {spread(others)}, {spread(ratios, 'times')}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--store", type=Path, default=Path.home() / ".cache/osloom")
    parser.add_argument("--row", action="append", choices=(*BUILDS, "changed"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/var/tmp", ignore_cleanup_errors=True) as name:
        place = Path(name)
        closure = Closure(place / "closure", arguments.store)
        size = sum(path.nar_size for path in closure.paths)
        print(f"{len(closure.paths)} paths, {size / 1e6:.0f} MB of NARs, {MOST} layers at most")
        rows = arguments.row or [*BUILDS, "changed"]
        stream = Stream(place, arguments.store, closure)
        for compression in [row for row in rows if row in BUILDS]:
            image = Image(place / compression, closure)
            seeded = image.seeded(compression)
            report(
                BUILDS[compression],
                lambda image=image, seeded=seeded: image.build(seeded),  # type: ignore[misc]
                lambda compression=compression: stream.build(compressed=compression != "none"),  # type: ignore[misc]
                arguments.runs,
            )
            shutil.rmtree(image.place)
        if "changed" in rows:
            image = Image(place / "changed", closure)
            (place / "registry").mkdir()
            registry = Programs(place / "registry", arguments.store, "docker-registry").root
            times, worked = changed(image, registry, arguments.runs)
            print(f"one leaf changed: {spread(times)}, of a processor {spread(worked)}")


if __name__ == "__main__":
    main()
