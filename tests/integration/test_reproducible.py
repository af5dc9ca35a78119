"""The same bytes whoever builds, wherever."""

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from integration.conftest import Workshop
from support.cli import SOURCES, environment

_OTHER_USER = 61234
_LIBRARIES = (
    "anyio",
    "certifi",
    "h11",
    "httpcore",
    "httpx",
    "idna",
    "markdown_it",
    "mdurl",
    "msgspec",
    "pygments",
    "pysequoia",
    "rich",
    "typing_extensions.py",
    "zstandard",
)


def test_a_build_elsewhere_is_identical(example: Workshop) -> None:
    done = example("verify").check()
    assert done.stdout.splitlines() == [
        "app/app.oci: identical",
        "machine/machine.nspawn.tar.gz: identical",
        "server/server.raw: identical",
    ]


_YEARS = """
[project]
name = "years"

[image.box]
packages = ["coreutils", "dash"]
configure = "none"
outputs = ["tar"]

[[image.box.script]]
run = "date +%Y >/etc/year-of-build; date -r /etc/year-of-build +%Y >/etc/year-of-file"
"""


def test_the_second_build_is_on_another_day(tmp_path: Path, store: Path) -> None:
    (tmp_path / "osloom.toml").write_text(_YEARS)
    box = Workshop(tmp_path, store)
    box("lock").check()
    done = box("verify", "--json")
    assert done.status == 1, done.stderr
    (verdict,) = done.json
    assert verdict["difference"]["path"] == "box/box.tar"
    assert verdict["difference"]["inside"].startswith("/etc/year-of-build: file 0644 ")


def test_a_difference_is_found_and_named(tmp_path: Path) -> None:
    from osloom.api.verify import first_byte, first_difference
    from osloom.model.tree import Node, Tree

    (tmp_path / "a").write_bytes(b"x" * 5000 + b"a")
    (tmp_path / "b").write_bytes(b"x" * 5000 + b"b")
    assert first_byte(tmp_path / "a", tmp_path / "b") == 5000
    assert first_byte(tmp_path / "a", tmp_path / "a") is None
    one = Tree({"etc": Node("dir", 0o755), "etc/x": Node("dir", 0o700)})
    other = Tree({"etc": Node("dir", 0o755), "etc/x": Node("dir", 0o711)})
    assert first_difference(one, other) == "/etc/x: dir 0700, then dir 0711"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_user_with_a_single_id_makes_the_same_bytes(example: Workshop) -> None:
    """An ordinary user without subordinate ids, with the system's own Python."""
    python = shutil.which("python3", path="/usr/bin:/bin")
    version = subprocess.run(
        [python or "false", "-c", "import sys; print(*sys.version_info[:2], sep='.')"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    if version != sysconfig.get_python_version():
        pytest.skip("the system's Python is another than the one that runs the tests")
    place = _readable_copy(example)
    arguments = ["build", "--json", "--progress", "plain"]
    try:
        done = subprocess.run(
            [str(python), "-m", "osloom", *arguments],
            cwd=place / "project",
            env=environment(
                OSLOOM_STORE=str(place / "store"), PYTHONPATH=str(place / "lib"), HOME=str(place)
            ),
            user=_OTHER_USER,
            group=_OTHER_USER,
            extra_groups=[],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        theirs = _digests(done.stdout)
    finally:
        shutil.rmtree(place)
    assert theirs == _digests(example("build", "--json").check().stdout)


def _digests(text: str) -> dict[str, str]:
    import json

    return {one["path"]: one["digest"] for one in json.loads(text)}


def _readable_copy(example: Workshop) -> Path:
    """osloom, its libraries and the project where any user may read them."""
    import tempfile

    place = Path(tempfile.mkdtemp(prefix="osloom-", dir="/var/tmp"))
    libraries = Path(sysconfig.get_path("purelib"))
    shutil.copytree(SOURCES / "osloom", place / "lib/osloom")
    for name in _LIBRARIES:
        source = libraries / name
        if source.is_dir():
            shutil.copytree(source, place / "lib" / name)
        elif source.exists():
            shutil.copy(source, place / "lib" / name)
    (place / "project").mkdir()
    for name in ("osloom.toml", "osloom.lock"):
        shutil.copy(example.directory / name, place / "project" / name)
    for path in [place, *place.rglob("*")]:
        os.chown(path, _OTHER_USER, _OTHER_USER)
    return place
