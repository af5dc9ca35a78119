"""Prove that a build is reproducible: build again where nothing is the same, and compare.

Of what can be released, the files of the release are compared too. Nothing is published, and the
list of them is not signed: its signature has a time.
"""

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from osloom.api.build import build
from osloom.api.git import REVISION, head
from osloom.api.plan import plan
from osloom.api.project import LOCKFILE
from osloom.api.release import Wanted, is_releasable, release
from osloom.api.session import Session
from osloom.base.command import run
from osloom.base.digest import digest_bytes
from osloom.base.errors import BuildError, UsageError
from osloom.base.progress import Event
from osloom.engine import clock
from osloom.keys.places import ROLES, find_place
from osloom.model.artifact import Artifact
from osloom.model.definition import Image
from osloom.model.efi_variable import VARIABLES
from osloom.model.tree import Tree, describe
from osloom.release.checksums import SUMS
from osloom.release.version import is_number
from osloom.store.store import Store

_CHUNK = 1 << 20
_RELEASE = "release"
"""Where beside the outputs the files of releases are compared."""

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
    """Build `images` twice, the second time elsewhere; one verdict for each output, and for each
    file of a release."""
    released = [name for name, image in images.items() if _has_release(session, image)]
    with session.store.working_directory() as work:
        first = build(session, images, directory=work / "first")
        first += _release(session, images, released, work / "first" / _RELEASE)
        session.report(Event(kind="note", id="verify", title="build again, elsewhere"))
        other = _build_elsewhere(session, list(images), released, work / "elsewhere")
        trees = _trees(session, images, other)
        return [
            Verdict(
                artifact=one,
                difference=_compare(one.path, work, trees.get(one.image, "")),
            )
            for one in first
        ]


def _has_release(session: Session, image: Image) -> bool:
    version = session.project.definition.project.version
    return is_releasable(image) and is_number(version)


def _release(
    session: Session, images: Mapping[str, Image], names: list[str], channel: Path
) -> list[Artifact]:
    """Publish `names` into `channel`; gives the files there, by their paths beside the outputs."""
    wanted = Wanted(to=str(channel), unsigned=True)
    made = []
    for name in names:
        (published,) = release(session, {name: images[name]}, wanted, now=0)
        sums = (channel / name / SUMS).read_bytes()
        files = {one.name: (one.size, one.digest) for one in published.files}
        files[SUMS] = (len(sums), digest_bytes(sums))
        made += [
            Artifact(
                image=name,
                format="release",
                path=f"{_RELEASE}/{name}/{file}",
                size=size,
                digest=digest,
            )
            for file, (size, digest) in files.items()
        ]
    return made


def _build_elsewhere(session: Session, names: list[str], released: list[str], place: Path) -> Store:
    """A build by another process, from a copy of the project, with an empty store; and releases.

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
    second = place.parent / "second"
    common = ["--progress", "plain", "--json", "--store", str(store.root)]
    common += ["--file", str(project / session.project.path.name)]
    _run_elsewhere(session, ["build", *names, *common, "--output", str(second)])
    if released:
        channel = ["--to", str(second / _RELEASE), "--unsigned"]
        _run_elsewhere(session, ["release", *released, *common, *channel])
    return store


def _run_elsewhere(session: Session, words: list[str]) -> None:
    """Run osloom with another umask, host name and environment, and a clock of its own."""
    program = "import os, sys, runpy; os.umask(0o077); sys.argv[0] = 'osloom'; "
    program += "from osloom.api.verify import rename_host; rename_host(); "
    program += "from osloom.cli.main import main; sys.exit(main())"
    argv = [sys.executable, "-c", program, *words]
    environment = {
        **ELSEWHERE,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "PATH": os.environ.get("PATH", os.defpath),
        **{name: os.environ[name] for name in ("SOURCE_DATE_EPOCH",) if name in os.environ},
        # The second place is in no repository.
        **_revision(session),
    }
    done = run(argv, environment=environment, check=False)
    if done.status != 0:
        said = done.stdout.decode(errors="replace")
        with contextlib.suppress(ValueError, KeyError):
            said = json.loads(said)["error"]
        raise BuildError(
            f"cannot {words[0]} a second time: {said.strip()}", detail=done.stderr.decode()[-2000:]
        )


def _revision(session: Session) -> dict[str, str]:
    """What names the commit to a build in another place."""
    with contextlib.suppress(UsageError):
        found = head(session.project.directory)
        name, time = session.commit or (found.name, found.time)
        return {REVISION: f"{name} {time}"}
    return {}


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
    _link_keys(session, target)
    debian = project.definition.debian
    for key in [debian.keyring, *(one.key for one in debian.repository)]:
        if key is not None:
            (target / key).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(project.directory / key, target / key)


def _link_keys(session: Session, target: Path) -> None:
    """Links to keys, certificates and programs that sign: nothing of a key is copied anywhere."""
    project = session.project
    for role in ROLES:
        place = find_place(project.definition.keys, role, project.directory)
        if place is None:
            continue
        paths = [place.public, *([place.key] if place.key else [])]
        paths += [place.public.with_name(f"{name}.auth") for name in VARIABLES]
        if "/" in "".join(place.command[:1]):
            paths.append(project.directory / place.command[0])
        for path in paths:
            link = target / os.path.relpath(path, project.directory)
            if path.exists() and not link.exists():
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(path.resolve())


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
