"""Releases to publish, and processes that are killed while they do.

As a program, `python -m support.publishing CHANNEL DIRECTORY VERSION` publishes once for each line
of its input, and prints the process that does and how it ended. A line is the moment at which it is
killed: the number of its file operations, or 0 for never.
"""

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from osloom.base.digest import digest_bytes
from osloom.fetch.storage.access import Access
from osloom.fetch.storage.location import parse_location
from osloom.fetch.storage.storage import Storage, open_storage
from osloom.keys.make import make_keys
from osloom.keys.open import open_release
from osloom.keys.openpgp import ReleaseSigner
from osloom.keys.places import Place
from osloom.release.checksums import SIGNATURE, SUMS
from osloom.release.publish import publish
from osloom.release.published import Published
from osloom.release.version import Release, ReleaseFile, ReleasePackage, Room
from support.cli import SOURCES
from support.programs import Programs

ID = "edge-gateway"
NOW = 1_700_000_000
_SIZES = {"raw.zst": 300_000, "efi": 70_000}
_OPERATIONS = ("open", "os.", "shutil.", "fcntl.")


@dataclass
class Gpg:
    """Verifies as systemd-pull has it done: by the keyring of the device."""

    programs: Programs
    keyring: Path

    def __call__(self, storage: Storage, directory: Path) -> None:
        for name in (SUMS, SIGNATURE):
            data = storage.read(name, limit=1 << 20)
            assert data is not None
            (directory / name).write_bytes(data)
        pair = (directory / SIGNATURE, directory / SUMS)
        self.programs("usr/bin/gpgv", "--keyring", self.keyring, *pair)


def make_signer(directory: Path) -> ReleaseSigner:
    """The key in `directory`; made if it is not there yet."""
    if not directory.exists():
        make_keys(directory, name="test", now=NOW)
    key, public = directory / "release.key", directory / "release.pub"
    place = Place(role="release", key=key, base=directory, public=public)
    return open_release(place, now=NOW)


@contextlib.contextmanager
def storage_at(channel: str) -> Iterator[Storage]:
    """The channel at an address."""
    with open_storage(parse_location(channel, Path("/")), Access()) as storage:
        yield storage


def make_release(
    directory: Path, version: int, *, salt: str = "", room: Room | None = None
) -> Release:
    """A version whose files are the same every time, for the same `salt`."""
    directory.mkdir(parents=True, exist_ok=True)
    contents = {}
    for suffix, size in _SIZES.items():
        seed = f"{version} {salt} {suffix}".encode()
        contents[f"{ID}_{version}.{suffix}"] = hashlib.shake_128(seed).digest(size)
    root = hashlib.shake_128(f"{version} {salt}".encode()).digest(200_000)
    contents[f"{ID}_{version}_{hashlib.sha256(root).hexdigest()[:32]}.root"] = root
    for name, data in contents.items():
        (directory / name).write_bytes(data)
    return Release(
        id=ID,
        version=str(version),
        epoch=NOW,
        commit=None,
        files=tuple(
            ReleaseFile(name=name, path=directory / name, digest=digest_bytes(data), size=len(data))
            for name, data in contents.items()
        ),
        packages=(ReleasePackage(name="bash", version="5", source="bash"),),
        room=room,
    )


def grown(release: Release) -> Release:
    """With a root that is said to be one byte larger."""
    files = [
        msgspec.structs.replace(one, size=one.size + 1) if one.name.endswith(".root") else one
        for one in release.files
    ]
    return msgspec.structs.replace(release, files=tuple(files))


def publish_to(
    channel: str,
    release: Release,
    signer: ReleaseSigner | None,
    *,
    keep: int = 3,
    dry_run: bool = False,
) -> Published:
    location = parse_location(channel, Path("/"))
    with open_storage(location, Access(service="channel")) as storage:
        return publish(storage, location.text, release, signer=signer, keep=keep, dry_run=dry_run)


class Publisher:
    """The program below: publishes a version again and again, in processes that can be killed."""

    def __init__(self, channel: str, directory: Path, version: int) -> None:
        paths = (str(SOURCES), str(Path(__file__).parents[1]))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "support.publishing", channel, directory, str(version)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "Publisher":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def start(self, moment: int = 0) -> int:
        """Begin to publish; gives the id of the process."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{moment}\n")
        self._process.stdin.flush()
        return self._line()

    def wait(self) -> int:
        """Its exit status; of one that was killed, the negative signal."""
        return self._line()

    def _line(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())


def versions_at(storage: Storage) -> dict[str, str]:
    """What SHA256SUMS names, which has to be there with that digest: digests by name."""
    text = storage.read(SUMS, limit=1 << 20)
    if text is None:
        return {}
    named = {line.split()[1]: line.split()[0] for line in text.decode().splitlines()}
    for name, digest in named.items():
        data = storage.read(name, limit=1 << 30)
        assert data is not None, name
        assert hashlib.sha256(data).hexdigest() == digest, name
    return named


def files_at(channel: Path) -> set[str]:
    """All that people see there, and the hidden files but for the lock and the current sums."""
    hidden = (".lock", ".together")
    return {one.name for one in channel.iterdir() if not one.name.startswith(hidden)}


def expected_files(*releases: Release) -> set[str]:
    names = {name for one in releases for name in one.sums()}
    return {*names, SUMS, SIGNATURE}


class _Moments:
    """Counts what this process does with files, and kills it at one of these."""

    def __init__(self, last: int) -> None:
        self._left = last
        sys.addaudithook(self._hook)

    def _hook(self, event: str, _: object) -> None:
        if event.startswith(_OPERATIONS):
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def _main(channel: str, directory: str, version: str) -> None:
    place = Path(directory)
    signer = make_signer(place / "keys")
    release = make_release(place / "files", int(version))
    # What is imported late is there before the first child counts.
    publish_to(str(place / f"warm-{version}"), release, signer)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _Moments(int(line))
            publish_to(channel, release, signer)
            os._exit(0)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    _main(*sys.argv[1:])
