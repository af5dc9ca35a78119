"""Maintainer scripts of real packages: which are named, and what of them is understood."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.conftest import Workshop
from osloom.compose.application.scripts.effects import Effects, effects
from osloom.compose.application.unrun import script_notes
from osloom.compose.control import Control
from osloom.model.tree import Node, Tree
from osloom.sources.debian.archive import read_package
from osloom.store.store import Store

_PACKAGES = (
    *("nginx", "redis-server", "mosquitto", "mawk", "tzdata", "ca-certificates", "python3-minimal"),
    *("fontconfig-config", "apache2"),
)


class Packages:
    """The packages of the image: their scripts, triggers and all their paths."""

    def __init__(self, controls: dict[str, Control], paths: set[str]) -> None:
        self.paths = paths
        self.read = {
            name: (
                {script: control.text(script) for script in ("preinst", "postinst")},
                control.text("triggers"),
            )
            for name, control in controls.items()
        }

    def effects(self, name: str) -> Effects:
        return effects(name, *self.read[name], paths=self.paths)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Iterator[Packages]:
    workshop = Workshop(tmp_path_factory.mktemp("scripts"), store)
    listed = ", ".join(f'"{name}"' for name in _PACKAGES)
    (workshop.directory / "osloom.toml").write_text(
        f'[image.scripts]\npackages = [{listed}]\nconfigure = "none"\noutputs = ["tar"]\n'
    )
    for command in ("lock", "build"):
        workshop(command).check()
    lock = json.loads((workshop.directory / "osloom.lock").read_text())
    chosen = {one.partition(":")[0] for one in lock["images"]["scripts"]["packages"]}
    opened = Store(store)
    blobs = opened.blobs
    controls: dict[str, Control] = {}
    paths: set[str] = set()
    wanted = {one["digest"]: one["name"] for one in lock["packages"]}
    for digest, name in wanted.items():
        if blobs.find(digest) is None or name not in chosen:
            continue
        with blobs.open(digest) as file:
            package = read_package(file, blobs, name=name)
        controls[name] = Control(Tree(package.control), blobs)
        paths |= set(package.data)
    yield Packages(controls, paths)
    opened.close()


def test_few_are_named(packages: Packages) -> None:
    named = {name for name in packages.read if packages.effects(name).reasons}
    assert {"apache2", "fontconfig-config"} <= named
    assert not named & {"nginx", "nginx-common", "redis-server", "mosquitto", "mawk", "tzdata"}
    assert not named & {"ca-certificates", "python3-minimal", "libc6", "libssl3t64"}
    assert len(named) < len(packages.read) / 8


def test_what_is_understood(packages: Packages) -> None:
    (awk, *_) = packages.effects("mawk").alternatives
    assert (awk.link, awk.path) == ("/usr/bin/awk", "/usr/bin/mawk")
    assert "mosquitto" in [one.name for one in packages.effects("mosquitto").users]
    owned = {one.path: one.user for one in packages.effects("mosquitto").changes}
    assert owned["/var/lib/mosquitto"] == "mosquitto"
    (conf,) = packages.effects("redis-server").changes
    assert (conf.path, conf.user, conf.mode) == ("/etc/redis/redis.conf", "redis", 0o640)


def test_the_notes(packages: Packages) -> None:
    found = {name: packages.effects(name) for name in packages.read}
    said = script_notes(found, Tree(dict.fromkeys(packages.paths, Node("file", 0o644))))
    assert any("`apache2` did not run: they would turn on Apache modules" in one for one in said)
    assert not any("`nginx-common`" in one for one in said)
