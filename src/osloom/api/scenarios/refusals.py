"""Scenarios of releases that a device must not take."""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from osloom.api.scenarios.device import Device
from osloom.api.scenarios.trial import Trial
from osloom.keys.make import make_keys
from osloom.keys.open import open_release
from osloom.keys.places import find_place
from osloom.model.providers import Keys
from osloom.model.size import MIB
from osloom.model.verity import BLOCK

_SUMS = ("SHA256SUMS", "SHA256SUMS.gpg")


def forged(trial: Trial, device: Device) -> None:
    """Checksums signed by somebody else's key."""

    def forge(channel: Path) -> None:
        keys = trial.work / "forger"
        make_keys(keys, name="forger", now=trial.now)
        _sign(channel, keys, trial)

    _refused(trial, device, forge)


def wrong_checksum(trial: Trial, device: Device) -> None:
    """A root file system of which one byte is another."""

    def change(channel: Path) -> None:
        path = _newest_root(channel, trial)
        content = bytearray(path.read_bytes())
        content[last_new_block(path, _roots_before(trial))] ^= 1
        _replace(path, bytes(content))

    _refused(trial, device, change)


def truncated(trial: Trial, device: Device) -> None:
    """A root file system whose end is missing."""

    def cut(channel: Path) -> None:
        path = _newest_root(channel, trial)
        _replace(path, path.read_bytes()[: last_new_block(path, _roots_before(trial))])

    _refused(trial, device, cut)


def too_large(trial: Trial, device: Device) -> None:
    """A root file system that is larger than the device's slots, truly signed."""

    def enlarge(channel: Path) -> None:
        path = _newest_root(channel, trial)
        before = _digest(path)
        _replace(path, path.read_bytes())
        os.truncate(path, trial.appliance().slot_size + MIB)
        sums = channel / _SUMS[0]
        _replace(sums, sums.read_text().replace(before, _digest(path)).encode())
        _sign(channel, trial.keys, trial)

    said = _refused(trial, device, enlarge)
    is_named = any(word in said for word in ("large", "No space left"))
    device.check(is_named, "it was refused for something else than its size", said)


def downgrade(trial: Trial, device: Device) -> None:
    """A channel that has only the version before the one that runs, truly signed."""
    if trial.newest == 1:
        trial.publish()
    _up_to_date(trial, device)
    old = trial.saved(trial.newest - 1)
    boot = device.boot()
    with _instead(trial, old):
        device.run("systemctl start osloom-update.service", timeout=600)
        device.run("sleep 5")
    device.check(device.boot() == boot, "it has started an older version")
    device.check(device.version() == trial.newest, f"version {device.version()} runs")


def _refused(trial: Trial, device: Device, tamper: Callable[[Path], None]) -> str:
    """The device does not take a version whose release was tampered with; gives what it says."""
    boot, good = device.boot(), device.version()
    version = trial.publish()
    tampered = trial.work / "tampered"
    shutil.rmtree(tampered, ignore_errors=True)
    shutil.copytree(trial.channel, tampered, symlinks=True)
    tamper(tampered)
    with _instead(trial, tampered):
        status, output = device.try_("systemctl start osloom-update.service", timeout=900)
        said = device.run("journalctl -b -u osloom-update.service -o cat -n 30")
        device.check(status != 0, f"version {version} was taken", f"{output}\n{said}")
        device.check("code 404" not in said, "what was tampered with was not even found", said)
    # What made room for it may be gone: only the version that runs is sure to stay.
    names = [*device.entries(), *device.run("lsblk -nro PARTLABEL").split()]
    left = [name for name in names if name.startswith(f"{trial.id}_{version}")]
    device.check(not left, f"of version {version} there is {', '.join(left)}", said)
    device.check(f"{trial.id}_{good}.efi" in names, f"version {good} cannot start any more", said)
    device.check(device.boot() == boot, "it has rebooted")
    trial.note(f"refused: {_reason(said)}")
    return said


def _up_to_date(trial: Trial, device: Device) -> None:
    """Have the newest version run, whatever was refused before."""
    if device.version() != trial.newest:
        device.update()
        running = device.settled(boots=3)
        device.check(running == trial.newest, f"version {running} runs, not {trial.newest}")


@contextlib.contextmanager
def _instead(trial: Trial, directory: Path) -> Iterator[None]:
    """Serve another directory in the place of the channel for as long as the block lasts."""
    aside = trial.channel.with_name(".aside")
    trial.channel.rename(aside)
    try:
        # Not a link: the server follows none that leads out of what it serves.
        directory.rename(trial.channel)
        yield
    finally:
        trial.channel.rename(directory)
        aside.rename(trial.channel)


def _newest_root(channel: Path, trial: Trial) -> Path:
    (found,) = channel.glob(f"{trial.id}_{trial.newest}_*.root")
    return found


def _roots_before(trial: Trial) -> list[Path]:
    """Those of every version before the newest: the channel has not kept all of them."""
    channels = [trial.saved(version) for version in range(1, trial.newest)]
    return [path for channel in channels for path in channel.glob("*.root")]


def last_new_block(root: Path, before: Iterable[Path]) -> int:
    """Where the last block of `root` begins that none of the roots `before` has: a device, whichever
    of them it runs, fetches only what it lacks, and has to fetch this."""
    others = {one for path in before for one in _blocks(path)}
    return max(place for place, one in enumerate(_blocks(root)) if one not in others) * BLOCK


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            yield hashlib.sha256(block).digest()


def _sign(channel: Path, keys: Path, trial: Trial) -> None:
    """Sign the checksums of a channel anew, with the release key in `keys`."""
    place = find_place(Keys(directory=str(keys)), "release", trial.work)
    assert place is not None
    signer = open_release(place, now=trial.now)
    _replace(channel / _SUMS[1], signer.sign((channel / _SUMS[0]).read_bytes()))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _replace(path: Path, content: bytes) -> None:
    # What is linked to the store stays as it is.
    target = path.resolve()
    target.unlink()
    target.write_bytes(content)


def _reason(said: str) -> str:
    words = ("signature", "hash", "Failed", "failed", "mismatch", "Truncated")
    lines = [line for line in said.splitlines() if any(word in line for word in words)]
    return lines[0] if lines else said.strip().splitlines()[-1]
