"""Real builds: one project, one store, shared by the tests that only look."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from osloom.api.project import open_project, open_store
from osloom.api.scenarios.device import Device
from osloom.api.scenarios.trial import Trial, trial
from osloom.api.session import Session
from osloom.base.progress import silent
from support.cli import Done, osloom
from support.nix import NixWorld
from support.programs import Programs
from support.registry import Server, Shelf, running

# Whoever runs the tests in the background may have told them to ignore it, and what they start.
signal.signal(signal.SIGINT, signal.default_int_handler)


_LONGEST = (
    "appliance",
    "nixos_appliance",
    "nix_writable",
    "nixos",
    "apt",
    "machines",
    "extensions",
    "bare_root",
)
"""Files whose tests take minutes; begun first, they do not keep one processor waiting at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {f"test_{name}": number for number, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: order.get(item.path.stem, len(order)))


@dataclass(frozen=True)
class Workshop:
    """A project directory with a lock, and how to run osloom in it."""

    directory: Path
    store: Path

    def __call__(self, *arguments: str, **environment: str) -> Done:
        return osloom(self.directory, *arguments, OSLOOM_STORE=str(self.store), **environment)

    @contextlib.contextmanager
    def device(self, image: str) -> Iterator[tuple[Trial, Device]]:
        """A device with the appliance `image` on trial, that has not been started."""
        project = open_project(self.directory / "osloom.toml")
        with (
            contextlib.closing(open_store(self.store)) as store,
            Session(project, project.lock(), store, silent) as session,
            trial(session, image, now=int(time.time())) as own,
            own.device(watchdog=True) as device,
        ):
            yield own, device

    def verdicts(self, *scenarios: str) -> dict[str, str]:
        """How its tests ended, and why those that failed did."""
        words = [word for one in scenarios for word in ("--scenario", one)]
        done = self("test", "--json", *words)
        return {case["name"]: case["verdict"] + case["message"] for case in done.json}


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


@pytest.fixture
def registry(registry_programs: Programs, tmp_path: Path) -> Iterator[Server]:
    with running(registry_programs.root, tmp_path / "registry") as server:
        yield server


SHOP_FILE = 3 << 20
"""Bytes of the file `/two`."""
SHOP = """
[project]
name = "shop"
version = "1.2"

[image.one]
packages = ["busybox-static"]
configure = "none"
outputs = ["oci"]
oci = { compression = "none" }

[image.two]
from = "one"
outputs = ["oci"]
files = { "/two" = "two.bin" }

[image.two.oci]
repository = "tools/second"
tags = ["stable"]

[image.bare]
packages = ["busybox-static"]
configure = "none"
outputs = ["tar"]
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Workshop:
    workshop = Workshop(tmp_path_factory.mktemp("shop"), store)
    (workshop.directory / "osloom.toml").write_text(SHOP)
    (workshop.directory / "two.bin").write_bytes(os.urandom(SHOP_FILE))
    for command in ("lock", "build"):
        workshop(command).check()
    return workshop


BASE = """
[image.base]
packages = ["busybox-static", "netbase"]
configure = "none"
outputs = ["oci"]

[image.base.files]
"/bin/sh" = { link = "busybox" }
"/etc/passwd" = { text = "root:x:0:0:root:/root:/bin/sh\\nweb:x:33:33::/srv:/bin/sh\\n" }
"/etc/group" = { text = "root:x:0:\\nweb:x:33:\\n" }
"/srv/page" = { text = "of the base\\n" }
"/srv/gone/too" = { text = "" }

[image.base.oci]
compression = "gzip"
command = ["/bin/sh", "-c", "echo of the base"]
env = { GREETING = "good day", PLACE = "base" }
user = "web"
working-directory = "/srv"
labels = { one = "base", two = "base" }
tag = "1"
"""


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Iterator[Shelf]:
    programs = Programs(
        tmp_path_factory.mktemp("programs"), store, "docker-registry", "skopeo", "umoci"
    )
    with running(programs.root, tmp_path_factory.mktemp("registry")) as server:
        yield Shelf(server, programs)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Path:
    """The layout of a base that osloom itself made, of several layers."""
    workshop = Workshop(tmp_path_factory.mktemp("base"), store)
    (workshop.directory / "osloom.toml").write_text(BASE)
    for command in ("lock", "build"):
        workshop(command).check()
    return workshop.directory / "dist/base/base.oci"
