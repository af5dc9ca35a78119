"""Disks that boot one after the other, with another disk that outlives them."""

import contextlib
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from osloom.api.machine import built_disk, machine_for, machine_tools
from osloom.api.project import open_project, open_store
from osloom.api.session import Session
from osloom.base.errors import BuildError
from osloom.base.progress import silent
from osloom.engine.tools import start_from
from osloom.run import agent
from osloom.run.machine import Drive
from osloom.run.qemu import Running, started
from support.programs import Programs

_UP_TIMEOUT = 900


class Booted:
    """A machine that is up."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self._agent = agent.Agent(running.work / "test", is_alive=running.is_alive)
        self.state = self._agent.wait(_UP_TIMEOUT)

    def __call__(self, script: str, *, timeout: int = 300) -> agent.Answer:
        """Run shell text as root."""
        return self._agent.run(script, timeout=timeout)

    def check(self, script: str) -> str:
        """Run shell text that has to succeed; gives what it says."""
        answer = self(script)
        assert answer.status == 0, f"{answer.output}\n{self.running.console()[-3000:]}"
        return answer.output

    def power_off(self) -> None:
        """As a person would: everything stops in order."""
        with contextlib.suppress(BuildError):
            self("systemctl --no-block poweroff")
        while self.running.is_alive():
            time.sleep(0.2)


@contextmanager
def booted(directory: Path, store: Path, image: str, disk: Path) -> Iterator[Booted]:
    """The disk of an image of a built project; leaving the block is a cut of its power."""
    with starting(directory, store, image, disk) as running:
        yield Booted(running)


@contextmanager
def starting(directory: Path, store: Path, image: str, disk: Path) -> Iterator[Running]:
    """The same, before it is up."""
    project = open_project(directory / "osloom.toml")
    with (
        tempfile.TemporaryDirectory(dir=directory) as work,
        contextlib.closing(open_store(store)) as opened,
        Session(project, project.lock(), opened, silent) as session,
    ):
        tools = machine_tools(session, "amd64")
        machine = machine_for(
            session,
            built_disk(session, image),
            tools,
            Path(work),
            architecture="amd64",
            more=(Drive(path=disk, keep=True),),
            credentials=agent.credentials(),
            test_socket=True,
            console_log=True,
        )
        with started(machine, tools, Path(work)) as running:
            yield running


def empty_disk(path: Path, programs: Programs, label: str, content: Path | None = None) -> Path:
    """An ext4 file system of 512 MiB, or one with a directory's content; `programs` have e2fsprogs."""
    with path.open("wb") as file:
        file.truncate(512 << 20)
    words = start_from(programs.root, "usr/sbin/mke2fs")
    words += ["-d", str(content)] if content else []
    subprocess.run([*words, "-q", "-t", "ext4", "-L", label, path], check=True)
    return path
