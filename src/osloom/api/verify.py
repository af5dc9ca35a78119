"""Prove that a build is reproducible: build again where nothing is the same, and compare."""

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from osloom.api.build import build
from osloom.api.git import REVISION
from osloom.api.plan import plan
from osloom.api.project import LOCKFILE
from osloom.api.session import Session
from osloom.base.command import run
from osloom.base.errors import BuildError
from osloom.base.progress import Event
from osloom.engine import clock
from osloom.model.artifact import Artifact
from osloom.model.definition import Image
from osloom.model.tree import Tree, describe
from osloom.store.store import Store

_CHUNK = 1 << 20

ELSEWHERE = {
    "LC_ALL": "C",
    "LANG": "tr_TR.UTF-8",
    "TZ": "Pacific/Apia",
    "HOME": "/nonexistent",
    clock.VARIABLE: "400",
}
"""What the second build has in its environment; its umask and host name differ too.

400 days later the year, the month and the day of the week are all others.
"""


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """Where two builds of one output part."""

    path: str
    """The output's file."""
    offset: int
    """The first byte that differs, from 0."""
    inside: str = ""
    """The first path of the image that differs, and how; empty when the trees are the same."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    artifact: Artifact
    difference: Difference | None


def verify(session: Session, images: Mapping[str, Image]) -> list[Verdict]:
    """Build `images` twice, the second time elsewhere; one verdict for each output."""
    with session.store.working_directory() as work:
        first = build(session, images, directory=work / "first")
        session.report(Event(kind="note", id="verify", title="build again, elsewhere"))
        other = _build_elsewhere(session, list(images), work / "elsewhere")
        trees = _trees(session, images, other)
        return [
            Verdict(
                artifact=one,
                difference=_compare(one.path, work, trees.get(one.image, "")),
            )
            for one in first
        ]


def _build_elsewhere(session: Session, names: list[str], place: Path) -> Store:
    """A build by another process, from a copy of the project, with an empty store.

    Only the packages are taken over: they are inputs, and verified by their digests.
    """
    project = place / "a" / "longer" / "path"
    _copy_project(session, project)
    store = Store(place / "store")
    for package in session.lock.packages:
        source = session.store.blobs.find(package.digest)
        if source is not None:
            (store.temporary / "seed").write_bytes(source.read_bytes())
            store.blobs.add_file(store.temporary / "seed")
    program = "import os, sys, runpy; os.umask(0o077); sys.argv[0] = 'osloom'; "
    program += "from osloom.api.verify import rename_host; rename_host(); "
    program += "from osloom.cli.main import main; sys.exit(main())"
    argv = [sys.executable, "-c", program, "build", *names, "--progress", "plain", "--json"]
    argv += ["--file", str(project / session.project.path.name), "--store", str(store.root)]
    argv += ["--output", str(place.parent / "second")]
    environment = {
        **ELSEWHERE,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "PATH": os.environ.get("PATH", os.defpath),
        **{name: os.environ[name] for name in ("SOURCE_DATE_EPOCH",) if name in os.environ},
        # The second place is in no repository.
        **({REVISION: "{} {}".format(*session.commit)} if session.commit else {}),
    }
    done = run(argv, environment=environment, check=False)
    if done.status != 0:
        said = done.stdout.decode(errors="replace")
        with contextlib.suppress(ValueError, KeyError):
            said = json.loads(said)["error"]
        raise BuildError(
            f"cannot build a second time: {said.strip()}", detail=done.stderr.decode()[-2000:]
        )
    return store


def rename_host() -> None:
    """Give this process a host name of its own, where it may."""
    import ctypes

    libc = ctypes.CDLL(None)
    if os.geteuid() == 0 and libc.unshare(0x04000000) == 0:  # CLONE_NEWUTS
        libc.sethostname(b"elsewhere", 9)


def _copy_project(session: Session, target: Path) -> None:
    """The definition, the lock, and the sources that images name."""
    import shutil

    project = session.project
    target.mkdir(parents=True)
    shutil.copyfile(project.path, target / project.path.name)
    shutil.copyfile(project.lock_path, target / LOCKFILE)
    for source in sorted(set(_sources(project.definition.image))):
        origin, copy = project.directory / source, target / source
        copy.parent.mkdir(parents=True, exist_ok=True)
        if origin.is_dir():
            shutil.copytree(origin, copy, symlinks=True, dirs_exist_ok=True)
        else:
            shutil.copy(origin, copy)
    debian = project.definition.debian
    for key in [debian.keyring, *(one.key for one in debian.repository)]:
        if key is not None:
            (target / key).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(project.directory / key, target / key)


def _sources(images: Mapping[str, Image]) -> Iterator[str]:
    for image in images.values():
        for file in image.files.values():
            source = file if isinstance(file, str) else file.source
            if source is not None:
                yield source


def _trees(session: Session, images: Mapping[str, Image], other: Store) -> dict[str, str]:
    """For each image the first path of its tree that differs between the builds."""
    planned = plan(session, images)
    found = {}
    for name, one in planned.images.items():
        step = one.tree.step
        second = other.results.find(step.key)
        (digest,) = session.make([one.tree])
        if second is not None and second.outputs["tree"] != digest:
            found[name] = first_difference(
                session.store.load_tree(digest), other.load_tree(second.outputs["tree"])
            )
    return found


def first_difference(one: Tree, other: Tree) -> str:
    """The first path in which two trees differ, and how."""
    for path in sorted({*one, *other}):
        mine, theirs = one.get(path), other.get(path)
        if mine != theirs:
            said = [describe(node) if node else "nothing" for node in (mine, theirs)]
            if said[0] == said[1]:
                said = [f"{said[0]}, time {node.mtime}" for node in (mine, theirs) if node]
            return f"/{path}: {said[0]}, then {said[1]}"
    return ""


def _compare(path: str, work: Path, inside: str) -> Difference | None:
    first, second = work / "first" / path, work / "second" / path
    for one in _files(first):
        name = one.relative_to(first)
        other = second / name
        offset = first_byte(one, other)
        if offset is not None:
            shown = path if first.is_file() else f"{path}/{name}"
            return Difference(path=shown, offset=offset, inside=inside)
    return None


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file())


def first_byte(one: Path, other: Path) -> int | None:
    """The offset of the first byte that differs; None when the files are equal."""
    if not other.exists():
        return 0
    offset = 0
    with one.open("rb") as left, other.open("rb") as right:
        while True:
            mine, theirs = left.read(_CHUNK), right.read(_CHUNK)
            if mine != theirs:
                pairs = enumerate(zip(mine, theirs, strict=False))
                short = min(len(mine), len(theirs))
                return offset + next((place for place, (a, b) in pairs if a != b), short)
            if not mine:
                return None
            offset += len(mine)
