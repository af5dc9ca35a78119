"""How long layers take to be written and hashed, beside `tar | zstd` of the same tree."""

import os
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from osloom.api.lock import lock
from osloom.api.plan import plan_one
from osloom.api.project import open_project
from osloom.api.requests import TOOLS
from osloom.api.session import Session
from osloom.base.progress import silent
from osloom.compose.plan import plan_tools
from osloom.engine.executor import LocalExecutor
from osloom.engine.step import Given, Output, Step
from osloom.engine.tools import start_from
from osloom.store.store import Store

DEFINITION = """
[project]
name = "writing"
[image.programs]
packages = ["tar", "zstd"]
configure = "none"
outputs = ["tar"]
[image.server]
packages = [{packages}]
configure = "dpkg"
outputs = ["oci"]
"""
LEVEL = 3


class Writing:
    """The layers of an image to be written, and its tree in a directory for tar."""

    def __init__(self, place: Path, store: Store, packages: Sequence[str]) -> None:
        self.store = store
        self.place = place
        place.mkdir(parents=True, exist_ok=True)
        listed = ", ".join(f'"{name}"' for name in packages)
        (place / "osloom.toml").write_text(DEFINITION.format(packages=listed))
        project = open_project(place / "osloom.toml")
        locked = lock(project, self.store, silent, now=int(time.time())).lock
        with Session(project, locked, self.store, silent) as session:
            image = project.definition.image
            base = (plan_tools(locked.packages_of(TOOLS)), project.definition.debian.suite)
            plan, outputs = plan_one(session, "server", image["server"], ["oci"], base)
            programs, _ = plan_one(session, "programs", image["programs"], [], base)
            steps = [one.step for one in _inputs(outputs[0].product.output.step, "infos")]
            wanted = [outputs[0].product.output, plan.tree, programs.tree]
            wanted += [one for step in steps for name in step.inputs for one in _inputs(step, name)]
            found = dict(zip(wanted, session.make(wanted), strict=True))
        self.tree = self.store.load_tree(found[plan.tree])
        self.layers: list[tuple[Step, dict[str, Given]]] = [
            (step, {name: found[_inputs(step, name)[0]] for name in step.inputs}) for step in steps
        ]
        # As a build does.
        self.layers.sort(key=lambda one: -one[0].weight)
        self.executor = LocalExecutor(store)
        # In a build the workers have unpacked the packages by then.
        self.ours()
        self._root = self.store.checkout(found[plan.tree])
        self._programs = self.store.checkout(found[programs.tree])

    def ours(self) -> None:
        """Every layer, in as many workers as a build has."""
        with ThreadPoolExecutor(max_workers=self.executor.slots) as pool:
            made = pool.map(lambda one: self.executor.run(*one), self.layers)
            self._made = [one.outputs["file"] for one in made]

    def forget(self) -> None:
        """Remove the layers: ext4 writes what replaces another file to the disk at once."""
        for digest in self._made:
            self.store.blobs.path(digest).unlink()

    def theirs(self) -> None:
        words = [*start_from(self._programs, "usr/bin/tar"), "--create", "--sort=name"]
        # Files with one content are one file in the store.
        words += ["--hard-dereference"]
        zstd = [*start_from(self._programs, "usr/bin/zstd"), "--quiet", f"-{LEVEL}"]
        with (self.place / "theirs.tar.zst").open("wb") as file:
            tar = subprocess.Popen([*words, "-C", self._root, "."], stdout=subprocess.PIPE)
            zstd += [f"--threads={len(os.sched_getaffinity(0))}", "--stdout"]
            subprocess.run(zstd, stdin=tar.stdout, stdout=file, check=True)
        if tar.wait():
            raise SystemExit("tar failed")


def _inputs(step: Step, name: str) -> list[Output]:
    given = step.inputs[name]
    return [
        one for one in (given if isinstance(given, tuple) else (given,)) if isinstance(one, Output)
    ]
