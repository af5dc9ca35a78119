"""What types cannot say of appliances: versions that are numbers, keys for updates, partitions."""

from collections.abc import Iterator

from osloom.definition.check import Mistake, Path
from osloom.model.appliance import mounts
from osloom.model.definition import Definition, Image
from osloom.model.disk import Disk
from osloom.model.providers import Keys
from osloom.model.size import parse_size

_TAKEN = ("data", "esp", "swap", "root", "_empty")
_OWN = (
    "bin",
    "boot",
    "dev",
    "efi",
    "etc",
    "lib",
    "lib64",
    "proc",
    "run",
    "sbin",
    "sys",
    "tmp",
    "usr",
)
"""Directories at the root that are the system's, with all that is in them."""
_STATE = "/var/lib/osloom"
"""Where the device keeps what it has changed of /etc: mounted before anything else is."""
_LEAST = {"ext4": "32M", "btrfs": "256M"}
"""What systemd-repart makes a partition with such a file system at least."""
_LEAST_SWAP = "1M"
"""mkswap makes none below 40 KiB, and partitions begin at whole MiB."""
_TOO_OLD = ("buster", "bullseye", "bookworm")
"""Suites whose systemd does not know what a device does: 252 and before; 257 is what was tried."""


def check_appliances(definition: Definition) -> Iterator[Mistake]:
    """Every mistake that the text shows, before `from` is followed."""
    version = definition.project.version
    for name, image in definition.image.items():
        path = ("image", name)
        if image.update.url is not None and not _signs(definition.keys):
            said = "devices could not tell whose updates they take: there is no key"
            hint = 'run `osloom keys new`, and write `[keys]` and `directory = "keys"`'
            yield Mistake((*path, "update", "url"), said, hint)
        if image.disk.is_appliance:
            from osloom.model.gpt import LONGEST_LABEL

            if not version.isdecimal():
                said = f"the version of an appliance is a whole number, not `{version}`"
                yield Mistake(("project", "version"), said, 'count releases: `version = "1"`')
            label = f"{definition.project.name}-{name}_{version}"
            if len(label) > LONGEST_LABEL:
                said = (
                    f"`{label}` is too long for a partition's label of {LONGEST_LABEL} characters"
                )
                yield Mistake(path, said, "shorten the name of the project or of the image")
            if image.disk.data.encryption == "tpm2" and not _seals(definition.keys):
                said = "a TPM cannot tell which system it opens data for: there is no key"
                hint = 'run `osloom keys new`, and write `[keys]` and `directory = "keys"`'
                yield Mistake((*path, "disk", "data", "encryption"), said, hint)
            if image.nixos is not None:
                yield from _check_nixos(image, path)
            elif definition.debian.suite in _TOO_OLD:
                said = (
                    f"an appliance needs systemd 257: `{definition.debian.suite}` has an older one"
                )
                yield Mistake(("debian", "suite"), said, "set it to `trixie` or a later one")
            yield from _check_partitions(image, path)


def check_inherited(definition: Definition) -> Iterator[Mistake]:
    """The mistakes that only images show which are complete: of partitions that were inherited."""
    for name, image in definition.image.items():
        if image.disk.is_appliance:
            yield from _check_partitions(image, ("image", name))


def _signs(keys: Keys) -> bool:
    return keys.directory is not None or keys.release is not None


def _seals(keys: Keys) -> bool:
    return keys.directory is not None or keys.secure_boot is not None


def _check_nixos(image: Image, path: Path) -> Iterator[Mistake]:
    if image.disk.data.encryption != "none":
        said = "the data of an appliance that is a NixOS system cannot be encrypted yet"
        yield Mistake((*path, "disk", "data", "encryption"), said, "leave `encryption` out")
    for name, partition in image.disk.partition.items():
        if partition.mount is not None:
            said = "what a NixOS system mounts is said in its configuration"
            place = (*path, "disk", "partition", name, "mount")
            hint = f'leave `mount` out, and set `fileSystems."{partition.mount}"` there'
            yield Mistake(place, said, hint)
    for one in image.files:
        if f"{one}/".startswith(("/var/", "/home/", "/root/", "/srv/", "/nix/")):
            said = f"`{one}` is not of the version: a device has its own /{one.split('/')[1]}"
            hint = "say it in `systemd.tmpfiles` of the configuration"
            yield Mistake((*path, "files", one), said, hint)


def _check_partitions(image: Image, path: Path) -> Iterator[Mistake]:
    if image.disk.filesystem != "ext4":
        said = "the root of an appliance is always erofs"
        hint = "leave `filesystem` out; that of data is `data.filesystem`"
        yield Mistake((*path, "disk", "filesystem"), said, hint)
    swap = image.disk.swap
    if swap is not None and parse_size(swap) < parse_size(_LEAST_SWAP):
        said = f"`{swap}` is too small for swap: it takes `{_LEAST_SWAP}` at least"
        yield Mistake((*path, "disk", "swap"), said, "leave `swap` out to have none")
    for name, one in image.disk.partition.items():
        place = (*path, "disk", "partition", name)
        if name in _TAKEN:
            yield Mistake(place, f"the partition name `{name}` is taken", "choose another")
        least = _LEAST.get(one.filesystem, "0")
        if parse_size(one.size) < parse_size(least):
            said = f"the partition `{name}` is too small for {one.filesystem}"
            yield Mistake((*place, "size"), said, f"give it at least `{least}`")
        if one.mount is not None and one.filesystem == "none":
            said = f"the partition `{name}` has nothing to mount"
            yield Mistake((*place, "mount"), said, "give it a `filesystem`, or leave `mount` out")
    yield from _check_mounts(image.disk, path)


def _check_mounts(disk: Disk, path: Path) -> Iterator[Mistake]:
    taken: dict[str, str] = {}
    for name, place in mounts(disk).items():
        written, where = disk.partition[name].mount, (*path, "disk", "partition", name, "mount")
        if _is_own(place):
            said = f"nothing can be mounted at `{written}`: the system has its own there"
            yield Mistake(where, said, "choose a place of its own, or one below `/var`")
        elif place in taken:
            said = f"`{name}` cannot be mounted at `{written}`: the partition `{taken[place]}` is"
            yield Mistake(where, said, "give each partition a place of its own")
        taken.setdefault(place, name)


def _is_own(place: str) -> bool:
    """Whether the system itself is at `place`, below it, or, of what it keeps in /var, above it."""
    first = place.split("/")[1]
    is_state = f"{place}/".startswith(f"{_STATE}/") or _STATE.startswith(f"{place.rstrip('/')}/")
    return first in _OWN or is_state
