"""Real builds: one project, one store, shared by the tests that only look."""

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.cli import Done, osloom
from support.nix import NixWorld
from support.programs import Programs

# Whoever runs the tests in the background may have told them to ignore it, and what they start.
signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass(frozen=True)
class Workshop:
    """A project directory with a lock, and how to run osloom in it."""

    directory: Path
    store: Path

    def __call__(self, *arguments: str, **environment: str) -> Done:
        return osloom(self.directory, *arguments, OSLOOM_STORE=str(self.store), **environment)


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    given = os.environ.get("OSLOOM_STORE")
    return Path(given) if given else tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module", autouse=True)
def _store_is_closed(store: Path) -> Iterator[None]:
    """Whoever opens the shared store in the tests' own process closes it: else none can prune."""
    yield
    lock = os.fspath(store / "lock")
    held = [path for path in Path("/proc/self/fd").iterdir() if path.exists()]
    assert lock not in [os.fspath(path.resolve()) for path in held]


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Workshop:
    """`osloom init all`, locked and built."""
    workshop = Workshop(tmp_path_factory.mktemp("example"), store)
    for command in ("init", "lock", "build"):
        workshop(command).check()
    return workshop


@pytest.fixture(scope="session")
def registry_programs(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Programs:
    """A registry, what speaks with it, and what makes keys and passwords for it."""
    names = ("docker-registry", "skopeo", "oras", "podman", "bubblewrap", "openssl")
    return Programs(tmp_path_factory.mktemp("registry-programs"), store, *names, "apache2-utils")


@pytest.fixture(scope="session")
def nix_world(tmp_path_factory: pytest.TempPathFactory, store: Path) -> NixWorld:
    """Real Nix with a closure, its keys and its caches; tests add to it, and change nothing."""
    return NixWorld(tmp_path_factory.mktemp("nix-world"), store)
