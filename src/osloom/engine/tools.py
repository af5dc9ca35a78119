"""Run programs of a tools image, confined by its own bubblewrap.

The host gives nothing but its kernel: a dynamic program starts from an unpacked tree through that
tree's own dynamic loader, and bubblewrap then makes the tree the root. The program sees the tools,
its working directory at /work, and what it is told to read; it has no network.
"""

import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from osloom.base.command import Completed, run
from osloom.base.errors import BuildError, CommandError
from osloom.engine import clock
from osloom.engine.nosync import no_sync

_LOADERS = {
    "x86_64": ("lib64/ld-linux-x86-64.so.2", "x86_64-linux-gnu"),
    "aarch64": ("lib/ld-linux-aarch64.so.1", "aarch64-linux-gnu"),
}
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


def start_from(root: Path, program: str) -> list[str]:
    """The words that start `program` of an unpacked tree on this host."""
    machine = platform.machine()
    if machine not in _LOADERS:
        raise BuildError(
            f"cannot run tools on a {machine} host", hint="osloom runs on x86_64 and aarch64"
        )
    loader, triplet = _LOADERS[machine]
    library = root / "usr/lib" / triplet
    # systemd's programs keep their shared library in a directory of its own.
    return [
        os.fspath(root / loader),
        "--library-path",
        f"{library}:{library}/systemd",
        os.fspath(root / program),
    ]


class Tools(msgspec.Struct, frozen=True):
    """A root directory with programs in it (`Store.checkout` of the tools image's tree)."""

    root: Path

    def argv(
        self,
        command: Sequence[str],
        *,
        work: Path,
        reads: Mapping[str, Path] | None = None,
        environment: Mapping[str, str] | None = None,
        network: bool = False,
        seccomp: int | None = None,
    ) -> list[str]:
        """The whole command line; it can be pasted into a shell.

        `network` is for machines and containers that people run, never for a step. `seccomp` is
        a file descriptor of a filter.
        """
        words = [*start_from(self.root, "usr/bin/bwrap"), "--unshare-all", "--die-with-parent"]
        words += ["--share-net"] if network else []
        words += [] if seccomp is None else ["--seccomp", str(seccomp)]
        words += ["--uid", "0", "--gid", "0", "--hostname", "osloom", "--clearenv"]
        words += ["--ro-bind", os.fspath(self.root), "/", "--proc", "/proc", "--dev", "/dev"]
        words += ["--tmpfs", "/tmp", "--tmpfs", "/run", "--tmpfs", "/var/tmp"]
        # The root is read-only, so that /work and /in are made on a file system over /mnt.
        words += ["--tmpfs", "/mnt", "--bind", os.fspath(work), "/mnt/work"]
        for place, source in (reads or {}).items():
            words += ["--ro-bind", os.fspath(source), f"/mnt/{place}"]
        given = {"PATH": _PATH, "LC_ALL": "C.UTF-8", "TZ": "UTC", "HOME": "/tmp"}
        given |= clock.environment(self.root)
        for name, value in (given | dict(environment or {})).items():
            words += ["--setenv", name, value]
        return [*words, "--chdir", "/mnt/work", "--", *command]

    def run(
        self,
        command: Sequence[str],
        *,
        work: Path,
        reads: Mapping[str, Path] | None = None,
        environment: Mapping[str, str] | None = None,
        stdin: Iterable[bytes] | None = None,
        stdout: BinaryIO | None = None,
        check: bool = True,
    ) -> Completed:
        """Run `command` to its end; its working directory `/mnt/work` is `work`.

        `reads` puts files or directories at `/mnt/NAME`. Raises CommandError with the end of what
        the program said.
        """
        with no_sync() as seccomp:
            argv = self.argv(
                command, work=work, reads=reads, environment=environment, seccomp=seccomp
            )
            completed = run(argv, stdin=stdin, stdout=stdout, descriptors=[seccomp], check=False)
        if check:
            _check(command[0], completed)
        return completed

    def filter(
        self,
        command: Sequence[str],
        *,
        stdin: Iterable[bytes] | None = None,
        stdout: BinaryIO | None = None,
    ) -> None:
        """Run a program of /usr/bin that does nothing but read `stdin`, or files that its words
        name, and write `stdout`, or files beside those.

        It is started without bubblewrap, which would take 9 ms where the program takes 3: an OCI
        image has up to 127 layers to compress. Its environment is made from nothing, and it is
        trusted as a library would be that did the same in this process.
        """
        argv = [*start_from(self.root, f"usr/bin/{command[0]}"), *command[1:]]
        environment = clock.environment(self.root, os.fspath(self.root))
        completed = run(argv, environment=environment, stdin=stdin, stdout=stdout, check=False)
        _check(command[0], completed)


def _check(program: str, completed: Completed) -> None:
    if completed.status != 0:
        said = (completed.stderr or completed.stdout).decode(errors="replace").strip()
        raise CommandError(
            f"`{program}` of the tools image exited with status {completed.status}",
            detail=said[-4000:],
        )
