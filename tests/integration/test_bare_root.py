"""A bare Debian system with Python, and nothing else installed by hand, builds the same bytes.

osloom makes that system itself. Two of them: bookworm has the oldest Python that osloom runs on.
trixie has a newer one, and what gives an ordinary user more than one id: the package uidmap, and
the user's lines in /etc/subuid and /etc/subgid.
"""

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
def bare(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, store: Path
) -> Iterator[Bare]:
    """One image of one suite, unpacked, with osloom set up in it as the README says."""
    suite, image = request.param
    project = Workshop(tmp_path_factory.mktemp(suite), store)
    text = f'[debian]\nsuite = "{suite}"\n{_DEFINITION}'
    (project.directory / "osloom.toml").write_text(text)
    project("lock").check()
    project("build", image).check()
    # Not below /tmp, which may be memory: system, store and outputs together need 3 GiB.
    place = Path(tempfile.mkdtemp(prefix="osloom-", dir="/var/tmp"))
    try:
        made = unpack(project.directory / f"dist/{image}/{image}.tar", place)
        made(_ROOT, "/", f"{INSTALLED}/scripts/setup").check()
        yield made
    finally:
        shutil.rmtree(place)


@pytest.mark.parametrize(
    ("bare", "account", "identity"),
    [
        pytest.param(("bookworm", "bare"), _ROOT, "root:", id="root"),
        pytest.param(("bookworm", "bare"), _PLAIN, "one id:", id="single"),
        pytest.param(("trixie", "ids"), _PLAIN, "subordinate ids:", id="subordinate"),
    ],
    indirect=["bare"],
    scope="module",
)
def test_a_bare_system_builds_the_same_bytes(
    bare: Bare, account: Account, identity: str, example: Workshop
) -> None:
    files = (example.directory / name for name in ("osloom.toml", "osloom.lock"))
    project = bare.give(account, *files)
    findings = bare(account, project, _OSLOOM, "doctor", "--json").check().json
    assert [one for one in findings if not one["good"]] == []
    said = {one["name"]: one["message"] for one in findings}["user ids"]
    assert said.startswith(identity)
    theirs = bare(account, project, _OSLOOM, "build", "--json", "--progress", "plain").check()
    assert theirs.digests == example("build", "--json").check().digests
