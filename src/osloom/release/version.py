"""One version of an image as it is published: its files, and what they are."""

import re
from pathlib import Path

import msgspec

from osloom.base.digest import Digest, digest_bytes, to_hex
from osloom.base.errors import UsageError

_NUMBER = re.compile(r"[1-9][0-9]{0,17}")


class ReleaseFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a release."""

    name: str
    """As devices see it: `edge-gateway_7.efi`."""
    path: Path
    """Where it is on this machine."""
    digest: Digest
    size: int
    """Bytes."""
    is_new: bool = False
    """Whether this run has made it: it was hashed while it was written, and need not be again."""


class ReleasePackage(msgspec.Struct, frozen=True, kw_only=True):
    """A package that is in the image."""

    name: str
    version: str
    source: str
    """The source package; of a path of a Nix store its base name."""


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """What devices have for a version, and what they ask of it."""

    slot: int
    """Bytes of a slot's root."""
    esp: int
    """Bytes of the EFI system partition, which has two UKIs."""
    signature: bool = False
    """Whether slots have a partition for the root hash's signature: such a device waits for one."""
    secure_boot: str | None = None
    """The certificate of who signed the UKI, SHA-256 of its DER in hexadecimal digits: firmware
    that trusts it starts no other. None where nobody did, and in manifests from before."""


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """All of one version."""

    id: str
    """IMAGE_ID of os-release: `PROJECT-IMAGE`."""
    version: str
    """IMAGE_VERSION: a whole number from 1 on."""
    epoch: int
    """SOURCE_DATE_EPOCH, seconds since 1970."""
    commit: str | None = None
    """Of the definition's repository."""
    files: tuple[ReleaseFile, ...]
    packages: tuple[ReleasePackage, ...] = ()
    room: Room | None = None
    """Of an appliance: what there is on all devices that were made with this version or one before;
    a signature if one of them has a place for it, and who its firmware trusts."""
    is_key_new: bool = False
    """Whether the firmware of all these devices trusts another key than that of the version before."""

    @property
    def number(self) -> int:
        """The version. Raises UsageError when it is none."""
        return parse_number(self.version, self.id)

    @property
    def manifest_name(self) -> str:
        return manifest_name(self.id, self.version)

    def manifest(self) -> bytes:
        """What people and programs may want to know of it, as JSON; the same for the same release.

        `id`, `version`, `epoch`, `commit`, `size` (bytes of all files), of an appliance `room`
        (see `Room`), `files` (`name`, `size`, `sha256`) and `packages` (`name`,
        `version`, `source`), both in the order of names.
        """
        described = {
            "id": self.id,
            "version": self.version,
            "epoch": self.epoch,
            "commit": self.commit,
            "size": sum(file.size for file in self.files),
            **({"room": self.room} if self.room else {}),
            "files": [
                {"name": file.name, "size": file.size, "sha256": to_hex(file.digest)}
                for file in sorted(self.files, key=lambda file: file.name)
            ],
            "packages": [
                {"name": one.name, "version": one.version, "source": one.source}
                for one in sorted(self.packages, key=lambda one: (one.name, one.version))
            ],
        }
        return msgspec.json.format(msgspec.json.encode(described), indent=2) + b"\n"

    def largest(self, ending: str) -> int:
        """Bytes of the largest file whose name ends so; 0 where there is none."""
        return max((file.size for file in self.files if file.name.endswith(ending)), default=0)

    def sums(self) -> dict[str, Digest]:
        """The digests of its files and of its manifest, by name."""
        named = {file.name: file.digest for file in self.files}
        return {**named, self.manifest_name: digest_bytes(self.manifest())}


def manifest_name(own: str, version: int | str) -> str:
    """What the manifest of a version of `own` is called."""
    return f"{own}_{version}.json"


def is_manifest(name: str, own: str) -> bool:
    """Whether a file that is called so is the manifest of a version of `own`."""
    version = name.removeprefix(f"{own}_").removesuffix(".json")
    return is_number(version) and name == manifest_name(own, version)


def is_number(version: str) -> bool:
    """Whether a release can have it."""
    return _NUMBER.fullmatch(version) is not None


def parse_number(version: str, own: str) -> int:
    """The version of `own` as a number. Raises UsageError when it is none from 1 on."""
    if not is_number(version):
        raise UsageError(
            f"cannot release `{own}` as version `{version}`: it is not a whole number from 1 on",
            hint='set `version = "1"` in `[project]`, and one more for every release',
        )
    return int(version)
