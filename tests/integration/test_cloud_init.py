"""An appliance with cloud-init, and the disk that a hypervisor gives it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from integration.conftest import Workshop
from support.cli import environment
from support.programs import Programs

_PATIENCE = 900
_DATA = """\
#cloud-config
hostname: of-the-cloud
users:
- name: someone
runcmd:
- echo "cloud-init made $(cat /etc/hostname) and $(id --name --user someone)" >/dev/ttyS0
"""


@pytest.mark.long
def test_an_appliance_takes_what_its_cloud_says(tmp_path: Path, store: Path) -> None:
    workshop = Workshop(tmp_path / "project", store)
    workshop.directory.mkdir()
    workshop("init", "appliance").check()
    definition = workshop.directory / "osloom.toml"
    text = definition.read_text()
    definition.write_text(text.replace('"login", ', '"login", "cloud-init", '))
    for command in (("keys", "new"), ("lock",), ("build",)):
        workshop(*command).check()
    log = tmp_path / "console"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "osloom", "run", "gateway", "--disk", _seed(tmp_path, store)],
            cwd=workshop.directory,
            env=environment(OSLOOM_STORE=str(store)),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    end = time.monotonic() + _PATIENCE
    try:
        while b"cloud-init made of-the-cloud and someone" not in log.read_bytes():
            assert process.poll() is None, log.read_text(errors="replace")[-3000:]
            assert time.monotonic() < end, log.read_text(errors="replace")[-3000:]
            time.sleep(1)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def _seed(place: Path, store: Path) -> Path:
    """A disk as cloud-init's source NoCloud looks for it: FAT, labelled CIDATA."""
    (place / "programs").mkdir()
    programs = Programs(place / "programs", store, "dosfstools", "mtools")
    (place / "user-data").write_text(_DATA)
    (place / "meta-data").write_text("instance-id: one\n")
    disk = place / "seed.img"
    programs("usr/sbin/mkfs.fat", "-C", "-n", "CIDATA", disk, "1024")
    programs("usr/bin/mcopy", "-i", disk, place / "user-data", place / "meta-data", "::")
    return disk
