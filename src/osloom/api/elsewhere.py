"""A build where nothing is the same: another place, store, environment, umask, host name and clock."""

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from osloom.api.git import REVISION, head
from osloom.api.project import LOCKFILE
from osloom.api.session import Session
from osloom.base.command import run
from osloom.base.errors import BuildError, UsageError
from osloom.engine import clock
from osloom.keys.places import ROLES, find_place
from osloom.model.definition import Image
from osloom.model.efi_variable import VARIABLES
from osloom.store.store import Store

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


def build_elsewhere(
    session: Session, names: list[str], released: list[str], place: Path, channel: str
) -> Store:
    """Build the images `names` below `place`.parent / "second", and release those of `released`
    into the directory `channel` there; gives the store.

    By another process, from a copy of the project, with an empty store.
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
        where = ["--to", str(second / channel), "--unsigned"]
        _run_elsewhere(session, ["release", *released, *common, *where])
    return store


def _run_elsewhere(session: Session, words: list[str]) -> None:
    """Run osloom with another umask, host name and environment, and a clock of its own."""
    program = "import os, sys, runpy; os.umask(0o077); sys.argv[0] = 'osloom'; "
    program += "from osloom.api.elsewhere import rename_host; rename_host(); "
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
