"""What a device fetches of a new version: its own program, with real programs and a real server."""

import hashlib
import os
import random
import subprocess
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from osloom.compose.appliance.units import programs as device_programs
from osloom.engine.tools import Tools
from osloom.model.block_list import BLOCK, format_list, missing, root_blocks, uki_blocks
from osloom.model.blocks import Blocks
from osloom.model.verity import make_verity
from osloom.run.serve import serving
from support.pe import make_pe
from support.programs import Programs

OLD, NEW = "edge-gateway_1", "edge-gateway_2"


@dataclass
class Version:
    root: bytes
    uki: bytes

    @property
    def hashes(self) -> bytes:
        return make_verity([self.root], salt=b"s" * 32, identity=uuid.UUID(int=1)).hashes


def blocks(data: bytes) -> Blocks:
    return Blocks(source=lambda at, size: data[at : at + size], size=len(data))


def write(version: Version, name: str, directory: Path) -> None:
    """The version's files as a release has them."""
    identity = str(uuid.UUID(int=7))
    contents = {
        f"{name}_{identity}.root": version.root,
        f"{name}_{identity}.verity": version.hashes,
        f"{name}.efi": version.uki,
        f"{name}.blocks": format_list(uki_blocks(blocks(version.uki))),
    }
    directory.mkdir()
    sums = ""
    for file, data in contents.items():
        (directory / file).write_bytes(data)
        sums += f"{hashlib.sha256(data).hexdigest()}  {file}\n"
    (directory / "SHA256SUMS").write_text(sums)
    (directory / "SHA256SUMS.gpg").write_bytes(b"")


def versions(seed: int) -> tuple[Version, Version]:
    """Two that share most of what they have, at other places."""
    source = random.Random(seed)
    data = [source.randbytes(BLOCK) for _ in range(3000)]
    data += [bytes(BLOCK)] * 50
    other = list(data)
    for _ in range(12):
        place = source.randrange(len(other))
        other[place : place + source.randrange(20)] = [
            source.randbytes(BLOCK) for _ in range(source.randrange(30))
        ]
    source.shuffle(data[-100:])
    kernel, initrd = source.randbytes(900_000), source.randbytes(700_001)
    names = (b".text", b".linux", b".initrd")
    before = make_pe(sections=(b"1" * 5000, kernel, initrd), names=names)
    changed = bytearray(initrd)
    changed[300_000:300_010] = b"0123456789"
    after = make_pe(sections=(b"2" * 6111, kernel, bytes(changed)), names=names, pad=13)
    return Version(b"".join(data), before), Version(b"".join(other), after)


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Tools:
    names = ("bubblewrap", "coreutils", "curl", "dash", "diffutils", "grep", "mawk", "sed")
    root = Programs(tmp_path_factory.mktemp("programs"), store, *names).root
    # In an image a script of the package makes it.
    (root / "usr/bin/awk").symlink_to("mawk")
    return Tools(root)


@dataclass
class Device:
    """What has version 1, and fetches version 2 into `directory`."""

    tools: Tools
    place: Path
    old: Mapping[str, Path]

    def __call__(self, url: str, name: str = NEW) -> subprocess.CompletedProcess[str]:
        given = [f"/mnt/old/{self.old[kind].name}" for kind in ("root", "hashes", "uki")]
        command = ["sh", "/mnt/work/fetch-changes", "/mnt/work/update", url, name, *given]
        argv = self.tools.argv(
            command, work=self.place, reads={"old": self.old["root"].parent}, network=True
        )
        return subprocess.run(argv, capture_output=True, text=True, check=False)

    @property
    def directory(self) -> Path:
        return self.place / "update"


def make_device(tools: Tools, place: Path) -> Device:
    """One with what is in the directory `device`."""
    work = place / "work"
    work.mkdir()
    (work / "fetch-changes").write_text(device_programs()["usr/lib/osloom/fetch-changes"])
    endings = {"root": ".root", "hashes": ".verity", "uki": ".efi"}
    files = list((place / "device").iterdir())
    old = {
        kind: path for kind, ending in endings.items() for path in files if path.suffix == ending
    }
    return Device(tools, work, old)


@pytest.fixture
def seed() -> int:
    return 1


@pytest.fixture
def published(seed: int, tmp_path: Path) -> tuple[Version, Version]:
    old, new = versions(seed)
    write(new, NEW, tmp_path / "channel")
    return old, new


@pytest.fixture
def device(tools: Tools, tmp_path: Path, published: tuple[Version, Version]) -> Device:
    write(published[0], OLD, tmp_path / "device")
    return make_device(tools, tmp_path)


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with serving(tmp_path / "channel") as server:
        yield f"http://127.0.0.1:{server.port}/"


def foretold(old: Version, new: Version) -> int:
    ranges = missing(root_blocks(blocks(old.hashes)), root_blocks(blocks(new.hashes)))
    new_uki = uki_blocks(blocks(new.uki))
    ranges += missing(uki_blocks(blocks(old.uki)), new_uki)
    listed = len(new.hashes) + len(format_list(new_uki))
    return sum(end - begin for begin, end in ranges) + listed


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_version_is_put_together_of_old_blocks_and_new_ones(
    device: Device, url: str, published: tuple[Version, Version]
) -> None:
    done = device(url)
    assert done.returncode == 0, done.stderr
    old, new = published
    fetched, whole = (device.directory / "sizes").read_text().split()
    assert int(fetched) == foretold(old, new) < int(whole) // 5
    assert int(whole) == len(new.root) + len(new.hashes) + len(new.uki)
    assert f"{NEW}: {fetched} bytes are fetched of {whole}" in done.stdout
    (root,) = device.directory.glob("*.root")
    assert root.read_bytes() == new.root
    assert (device.directory / f"{NEW}.efi").read_bytes() == new.uki


def test_of_a_version_that_is_the_same_only_lists_are_fetched(tools: Tools, tmp_path: Path) -> None:
    old, _ = versions(1)
    for name, place in ((OLD, "device"), (NEW, "channel")):
        write(old, name, tmp_path / place)
    device = make_device(tools, tmp_path)
    with serving(tmp_path / "channel") as server:
        done = device(f"http://127.0.0.1:{server.port}")
    assert done.returncode == 0, done.stderr
    fetched, _ = (device.directory / "sizes").read_text().split()
    assert int(fetched) == foretold(old, old) < 200_000
    assert (device.directory / f"{NEW}.efi").read_bytes() == old.uki


def test_a_server_without_ranges_is_asked_for_no_whole_file(device: Device, tmp_path: Path) -> None:
    class Whole(SimpleHTTPRequestHandler):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given, directory=os.fspath(tmp_path / "channel"))

    with ThreadingHTTPServer(("127.0.0.1", 0), Whole) as server:
        threading.Thread(target=server.serve_forever).start()
        done = device(f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
    assert done.returncode != 0
    assert "Maximum file size exceeded" in done.stderr


@pytest.mark.parametrize("ending", [".verity", ".blocks", ".efi", ".root"])
def test_what_is_cut_off_is_not_put_together(
    device: Device, url: str, tmp_path: Path, ending: str
) -> None:
    for path in (tmp_path / "channel").iterdir():
        if path.name.endswith(ending):
            path.write_bytes(path.read_bytes()[:100])
    assert device(url).returncode != 0


def test_hashes_with_another_salt_are_not_compared(device: Device, url: str) -> None:
    hashes = device.old["hashes"]
    data = bytearray(hashes.read_bytes())
    data[90] ^= 1
    hashes.write_bytes(data)
    done = device(url)
    assert done.returncode == 1
    assert "their hashes have other salts" in done.stdout


def test_a_version_that_is_not_listed_is_not_fetched(device: Device, url: str) -> None:
    assert device(url, "edge-gateway_20").returncode != 0
