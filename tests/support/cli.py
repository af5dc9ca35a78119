"""Run osloom as a user does."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SOURCES = Path(__file__).parents[2] / "src"


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    status: int
    stdout: str
    stderr: str

    def check(self) -> "Done":
        assert self.status == 0, f"{self.stdout}\n{self.stderr}"
        return self

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)

    @property
    def digests(self) -> dict[str, str]:
        """Of every output that `build --json` tells of, by path."""
        return {one["path"]: one["digest"] for one in self.json}


def environment(**extra: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in os.environ if not name.startswith("OSLOOM_")}
    kept |= {name: os.environ[name] for name in os.environ if name.startswith("OSLOOM_DEBIAN")}
    return {**kept, **extra}


def osloom(directory: Path, *arguments: str, **extra: str) -> Done:
    done = subprocess.run(
        [sys.executable, "-m", "osloom", *arguments],
        cwd=directory,
        env=environment(**extra),
        capture_output=True,
        text=True,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)
