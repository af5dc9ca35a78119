"""A bare Debian system with Python, and nothing else installed by hand, builds the same bytes.

osloom makes that system itself. Two of them: bookworm has the oldest Python that osloom runs on.
trixie has a newer one, and what gives an ordinary user more than one id: the package uidmap, and
the user's lines in /etc/subuid and /etc/subgid.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.conftest import Workshop
from support.bare import INSTALLED, Account, Bare, unpack

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can unpack a system and start in it"
)

# Debian keeps the part of Python that makes virtual environments in a package of its own.
_DEFINITION = """
[image.bare]
packages = ["python3-venv"]
outputs = ["tar"]
[image.bare.users.plain]
uid = 61234

[image.ids]
from = "bare"
packages = ["uidmap"]
outputs = ["tar"]
[image.ids.files]
"/etc/subuid" = { text = "plain:200000:65536\\n" }
"/etc/subgid" = { text = "plain:200000:65536\\n" }
"""
_ROOT = Account(0, "/root")
_PLAIN = Account(61234, "/home/plain")
_OSLOOM = f"{INSTALLED}/.venv/bin/osloom"


@pytest.fixture(scope="module")
def bookworm(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Iterator[Bare]:
    with _system(Workshop(tmp_path_factory.mktemp("bookworm"), store), "bookworm", "bare") as bare:
        yield bare


@pytest.fixture(scope="module")
def trixie(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Iterator[Bare]:
    with _system(Workshop(tmp_path_factory.mktemp("trixie"), store), "trixie", "ids") as bare:
        yield bare


@contextlib.contextmanager
def _system(project: Workshop, suite: str, image: str) -> Iterator[Bare]:
    """The image unpacked, and osloom set up in it as the README says."""
    text = f'[debian]\nsuite = "{suite}"\n{_DEFINITION}'
    (project.directory / "osloom.toml").write_text(text)
    project("lock").check()
    project("build", image).check()
    # Not below /tmp, which may be memory: with what is built in it, it takes gigabytes.
    place = Path(tempfile.mkdtemp(prefix="osloom-", dir="/var/tmp"))
    try:
        bare = unpack(project.directory / f"dist/{image}/{image}.tar", place)
        bare(_ROOT, "/", f"{INSTALLED}/scripts/setup").check()
        yield bare
    finally:
        shutil.rmtree(place)


def test_root_builds_the_same_bytes(bookworm: Bare, example: Workshop) -> None:
    assert _identity(bookworm, _ROOT).startswith("root:")
    assert _built(bookworm, _ROOT, example) == _built_here(example)


def test_a_user_with_one_id_builds_the_same_bytes(bookworm: Bare, example: Workshop) -> None:
    assert _identity(bookworm, _PLAIN).startswith("one id:")
    assert _built(bookworm, _PLAIN, example) == _built_here(example)


def test_a_user_with_subordinate_ids_builds_the_same_bytes(trixie: Bare, example: Workshop) -> None:
    assert _identity(trixie, _PLAIN).startswith("subordinate ids:")
    assert _built(trixie, _PLAIN, example) == _built_here(example)


def test_root_of_a_container_may_have_one_id(bookworm: Bare) -> None:
    container = ("unshare", "--map-root-user")
    assert _identity(bookworm, _PLAIN, *container).startswith("one id:")


def test_root_of_a_container_may_have_its_ids_in_two_ranges(trixie: Bare) -> None:
    container = ("unshare", "--map-root-user", "--map-auto")
    assert _identity(trixie, _PLAIN, *container).startswith("root:")


def test_a_user_without_a_home_is_told_to_choose_a_store(bookworm: Bare) -> None:
    unknown = Account(4242, "/")
    done = bookworm(unknown, "/tmp", "env", "--unset=HOME", _OSLOOM, "doctor")
    assert done.stderr.splitlines() == [
        "error: cannot tell where the store is: this user has no home directory",
        "hint: set OSLOOM_STORE to a directory that can be written",
    ]


def _identity(bare: Bare, account: Account, *container: str) -> str:
    """What doctor says of the account's ids, after a try that they work."""
    done = bare(account, account.home, *container, _OSLOOM, "doctor", "--json")
    findings = {one["name"]: one for one in done.json}
    assert findings["user namespaces"]["message"] == "work"
    return str(findings["user ids"]["message"])


def _built(bare: Bare, account: Account, example: Workshop) -> dict[str, str]:
    files = [example.directory / name for name in ("osloom.toml", "osloom.lock")]
    with bare.project(account, *files) as project:
        return bare(account, project, _OSLOOM, "build", "--json").check().digests


def _built_here(example: Workshop) -> dict[str, str]:
    return example("build", "--json").check().digests
