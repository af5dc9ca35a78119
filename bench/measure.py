"""How times are taken: whole processes, alternating pairs, both sides' files in memory before."""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from peers import clean

USED = "used"
_REST = 6
"""Seconds."""


@dataclass(frozen=True)
class Measured:
    """One row of the table."""

    work: str
    target: str
    figure: str
    detail: str


class Osloom:
    """osloom in a project of its own."""

    def __init__(self, place: Path, store: Path) -> None:
        self.place = place
        self.store = store
        place.mkdir(parents=True, exist_ok=True)

    def define(self, text: str) -> None:
        (self.place / "osloom.toml").write_text(text)

    def __call__(self, *arguments: str, store: Path | None = None) -> str:
        environment = {**os.environ, "OSLOOM_STORE": str(store or self.store)}
        # What a person runs has its byte code.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        done = subprocess.run(
            [sys.executable, "-m", "osloom", *arguments],
            cwd=self.place,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"osloom {' '.join(arguments)} failed:\n{done.stderr[-3000:]}")
        return done.stdout

    def seeded(self, definition: str, place: Path) -> Path:
        """Lock and build `definition`; gives a store that holds what a first build starts from."""
        self.define(definition)
        self("lock")
        self("build")
        return self.downloaded(place / "seeded")

    def downloaded(self, target: Path) -> Path:
        """A store that holds the locked packages, the tools' roots, and no result of a build.

        The tools image is to osloom what the programs on its root are to a peer: it is there.
        """
        clean(target)
        lock = json.loads((self.place / "osloom.lock").read_text())
        for package in lock["packages"]:
            name = package["digest"][7:]
            source = self.store / "blobs" / name[:2] / name[2:]
            (target / "seed").mkdir(parents=True, exist_ok=True)
            # Packages of what no build needs (the machine's) were never fetched.
            if source.exists():
                os.link(source, target / "seed" / name)
        program = (
            "import sys; from pathlib import Path; from osloom.store.store import Store\n"
            "store = Store(Path(sys.argv[1]))\n"
            "for path in (store.root / 'seed').iterdir():\n"
            "    copy = store.temporary / path.name; copy.write_bytes(path.read_bytes())\n"
            "    store.blobs.add_file(copy)\n"
        )
        subprocess.run([sys.executable, "-c", program, str(target)], check=True)
        shutil.rmtree(target / "seed")
        warm = (
            "import sys; from pathlib import Path\n"
            "from osloom.api.session import Session; from osloom.api.project import open_project\n"
            "from osloom.api.requests import COMPRESSORS, TOOLS\n"
            "from osloom.base.progress import silent\n"
            "from osloom.compose.plan import plan_merge, plan_packages, plan_tools; from osloom.store.store import Store\n"
            "project = open_project(Path('osloom.toml').absolute()); lock = project.lock()\n"
            "store = Store(Path(sys.argv[1]))\n"
            "with Session(project, lock, store, silent) as session:\n"
            "    tools = plan_tools(lock.packages_of(TOOLS))\n"
            "    packages = plan_packages(lock.packages_of(COMPRESSORS))\n"
            "    compressors = plan_merge('compressors', packages, dpkg=False)\n"
            "    for digest in session.make([tools, compressors]):\n"
            "        store.checkout(digest)\n"
        )
        subprocess.run([sys.executable, "-c", warm, str(target)], check=True, cwd=self.place)
        return target


def copied(seeded: Path) -> Path:
    """A store with the packages of `seeded` for one build; `USED` goes after the row.

    For a minute ext4 does not use again the inodes of files that were removed, and looks for others
    the harder the more they were.
    """
    used = seeded.parent / USED
    used.mkdir(exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=used))
    shutil.copytree(seeded, fresh, copy_function=os.link, symlinks=True, dirs_exist_ok=True)
    return fresh


def timed(work: Callable[[], object], *reads: Path) -> float:
    """Seconds that `work` takes, once what went on before has come to rest.

    What is below `reads` is in memory by then: how long ago each side last read its files, and how
    fast this disk is, is not what is compared.
    """
    os.sync()
    time.sleep(_REST)
    for directory in reads:
        for parent, _, names in os.walk(directory):
            for path in (Path(parent, name) for name in names):
                if path.is_file() and not path.is_symlink():
                    path.read_bytes()
    start = time.monotonic()
    work()
    return time.monotonic() - start


def spread(values: Sequence[float], unit: str = "s") -> str:
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{low:.2f} / {middle:.2f} / {high:.2f} {unit}"


def pair(
    ours: Callable[[], float], theirs: Callable[[], float], runs: int
) -> tuple[list[float], list[float], list[float]]:
    """Alternating runs: our times, theirs, and the ratios pair by pair."""
    mine, others = [], []
    for number in range(runs):
        print(f"  pair {number + 1} of {runs}", file=sys.stderr)
        mine.append(ours())
        others.append(theirs())
    return mine, others, [b / a for a, b in zip(mine, others, strict=True)]
