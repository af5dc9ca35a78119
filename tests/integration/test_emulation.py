"""Images of the architecture that this host does not have: their programs run all the same."""

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from integration.conftest import Workshop
from osloom.api.plan import plan
from osloom.api.project import open_project
from osloom.api.session import Session
from osloom.base.progress import silent
from osloom.engine.emulation import foreign, smallest_program
from osloom.store.store import Store
from support.cli import environment

_DEFINITION = """
[image.foreign]
architecture = "{architecture}"
packages = []
outputs = ["tar"]
[[image.foreign.script]]
run = '''
test -z "$(dpkg --audit)"
uname -m >/etc/machine
dpkg-query -W -f='${{db:Status-Status}}\\n' | sort -u >/etc/statuses
ls -A /proc/sys/fs/binfmt_misc >/etc/registered
install -o 7 -g 8 -m 2750 -d /srv/shared
sync
'''
"""

_WITH_ONE_ID = """
import runpy, sys
from osloom.engine.identity import enter
enter("single")
sys.argv = ["osloom", *sys.argv[1:]]
runpy.run_module("osloom", run_name="__main__")
"""


_NAMESPACES = """
import os, sys
from pathlib import Path
from osloom.engine import emulation, identity, mounts

emulator, work = map(Path, sys.argv[1:])

def found(where):
    place = work / where
    place.mkdir()
    print(where, emulation.is_allowed(place), flush=True)

def enter(who):
    identity.enter(who)
    identity.unshare(identity.CLONE_NEWNS)
    mounts.make_private()

def in_a_child(task):
    child = os.fork()
    if child == 0:
        task()
        os._exit(0)
    return child

def beside():
    os.read(ready, 1)
    enter(identity.find_identity())
    found("beside")

def below():
    enter("single")
    found("below")

ready, go = os.pipe()
other = in_a_child(beside)
enter(identity.find_identity())
found("before")
(work / "mounted").mkdir()
emulation.allow(emulator, work / "mounted")
found("inside")
os.waitpid(in_a_child(below), 0)
os.write(go, b"1")
os.waitpid(other, 0)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Workshop:
    """A configured image; nothing of it is done yet where the store is new."""
    made = Workshop(tmp_path_factory.mktemp("foreign"), store)
    text = _DEFINITION.format(architecture=foreign().architecture)
    (made.directory / "osloom.toml").write_text(text)
    made("lock").check()
    return made


def test_packages_are_configured_and_scripts_run(project: Workshop) -> None:
    project("build").check()
    with tarfile.open(project.directory / "dist/foreign/foreign.tar") as archive:

        def text(path: str) -> str:
            file = archive.extractfile(path)
            assert file is not None
            return file.read().decode()

        assert (
            text("etc/machine")
            == {"arm64": "aarch64\n", "amd64": "x86_64\n"}[foreign().architecture]
        )
        assert text("etc/statuses") == "installed\n"
        assert text("etc/registered") == ""
        shared = archive.getmember("srv/shared")
        assert (shared.uid, shared.gid, shared.mode) == (7, 8, 0o2750)
        assert not [name for name in archive.getnames() if "qemu" in name]


def test_a_user_with_one_id_builds_the_same_on_another_day(project: Workshop) -> None:
    project("build").check()
    done = subprocess.run(
        [sys.executable, "-c", _WITH_ONE_ID, "verify"],
        cwd=project.directory,
        env=environment(OSLOOM_STORE=str(project.store)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "foreign/foreign.tar: identical\n", done.stderr


def test_nothing_but_the_sandbox_can_run_them(project: Workshop, tmp_path: Path) -> None:
    opened = open_project(project.directory / "osloom.toml")
    store = Store(project.store)
    with Session(opened, opened.lock(), store, silent) as session:
        planned = plan(session, dict(opened.definition.image)).images["foreign"]
        assert planned.programs.emulator is not None
        (digest,) = session.make([planned.programs.emulator])
    root = store.checkout(digest)
    store.close()
    done = subprocess.run(
        [sys.executable, "-c", _NAMESPACES, root, tmp_path],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    host = _runs_here(tmp_path)
    assert done.stdout.splitlines() == [
        f"before {host}",
        "inside True",
        "below True",
        f"beside {host}",
    ], done.stderr


def _runs_here(directory: Path) -> bool:
    """Whether this host itself runs programs of the other architecture."""
    program = directory / "program"
    program.write_bytes(smallest_program(foreign()))
    program.chmod(0o755)
    try:
        return subprocess.run([program], check=False).returncode == 0
    except OSError:
        return False
