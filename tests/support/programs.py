"""Programs of Debian to judge outputs with: through osloom itself, so that the host needs none."""

import subprocess
import tarfile
from pathlib import Path

from osloom.engine.tools import start_from
from support.cli import osloom


class Programs:
    """The programs of some packages, unpacked below `directory`."""

    def __init__(self, directory: Path, store: Path, *packages: str) -> None:
        listed = ", ".join(f'"{name}"' for name in packages)
        (directory / "osloom.toml").write_text(
            f'[image.programs]\npackages = [{listed}]\nconfigure = "none"\noutputs = ["tar"]\n'
        )
        for command in ("lock", "build"):
            osloom(directory, command, OSLOOM_STORE=str(store)).check()
        self.root = directory / "root"
        with tarfile.open(directory / "dist/programs/programs.tar") as archive:
            archive.extractall(self.root, filter="tar")

    def __call__(self, program: str, *arguments: str | Path) -> str:
        """Run it to its end; gives what it says on its standard output."""
        done = subprocess.run(
            [*start_from(self.root, program), *arguments], capture_output=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.decode(errors="surrogateescape")
