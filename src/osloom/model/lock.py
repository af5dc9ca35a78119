"""The lock: every package by exact version, size and digest."""

import msgspec

from osloom.base.digest import Digest
from osloom.model.closure import StorePath, closure_of

VERSION = 2


class Repository(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One suite of one package repository, as it was when its signature was checked."""

    name: str
    """How packages refer to it: `debian/trixie`, `debian-security/trixie-security`."""
    source: str
    """Which base address to fetch from: `debian`, `debian-security`, or a repository's name."""
    suite: str
    components: tuple[str, ...]
    architectures: tuple[str, ...]
    release: Digest
    """Of the signed Release text."""
    date: int
    """Seconds since 1970, from Release."""
    valid_until: int | None = None
    signers: tuple[str, ...] = ()
    """Fingerprints of the keys whose signature was good."""


class Package(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One binary package, exactly."""

    name: str
    version: str
    architecture: str
    repository: str
    """`Repository.name`."""
    path: str
    """Below the repository's base address: `pool/main/b/bash/bash_5.2.37-2+b5_amd64.deb`."""
    size: int
    digest: Digest
    depends: tuple[str, ...] = ()
    """Names of the packages in the same image that this one needs."""
    required: bool = False
    """Essential or of priority `required`: an installation configures it before all others."""

    @property
    def source(self) -> str:
        """The source package, as the pool names its directory; in another layout the package.

        https://www.debian.org/doc/manuals/debian-reference/ch02#_debian_archive_basics: a pool is
        `pool/main/g/glibc`, `pool/main/libx/libxml2`.
        """
        *_, initial, source, _ = ("", "", *self.path.split("/"))
        short = source[:4] if source.startswith("lib") else source[:1]
        return source if initial and initial == short else self.name

    @property
    def id(self) -> str:
        return f"{self.name}:{self.architecture}={self.version}"


class BaseLayer(msgspec.Struct, frozen=True, kw_only=True):
    """One layer of a base image."""

    digest: Digest
    """Of the blob, as the registry has it."""
    size: int
    """Bytes of the blob."""
    media_type: str
    """As its manifest says it, of OCI or of Docker."""
    diff_id: Digest
    """Of the uncompressed archive."""


class Base(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One image of a registry that images start from, for one platform."""

    reference: str
    """As the definition has it, with `oci:`."""
    architecture: str
    """As Debian says it: `amd64`."""
    index: Digest | None = None
    """Of the list of platforms, where the reference names one."""
    manifest: Digest
    config: Digest
    config_size: int
    """Bytes."""
    layers: tuple[BaseLayer, ...]
    """Lowest first."""

    @property
    def id(self) -> str:
        return base_id(self.reference, self.architecture)


def base_id(reference: str, architecture: str) -> str:
    return f"{reference} {architecture}"


class LockedImage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one image is made of."""

    request: Digest
    """Of what the definition asked for; when it differs the lock is stale."""
    requested: tuple[str, ...]
    """The packages that the definition lists, after inheritance, in its order; of a virtual one
    that which was chosen for it."""
    suite: str
    architecture: str
    epoch: int | None = None
    """SOURCE_DATE_EPOCH of the image: the newest Release date when its packages were chosen.

    It stays for as long as they do: a package more in one image changes no byte of another."""
    packages: tuple[str, ...]
    """`Package.id`, sorted."""
    base: str | None = None
    """`Base.id`."""
    installables: dict[str, tuple[str, ...]] = {}
    """What the definition takes from Nix, as it says it, and the base names of the store paths
    that it is; the closure of all of them is in the image."""
    evaluation: Digest | None = None
    """Of how flakes were evaluated: for which system, and with which other inputs."""
    flakes: dict[str, Digest] = {}
    """Of the files of each local flake when it was evaluated; by the flake, as the definition
    says it."""


class Lock(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """See the module. Images are the definition's own; `tools` and other names that osloom
    needs itself start with a dot (`.tools`, `.initrd/trixie/amd64`)."""

    version: int = VERSION
    epoch: int
    """The newest Release date."""
    repositories: tuple[Repository, ...]
    packages: tuple[Package, ...]
    images: dict[str, LockedImage]
    bases: tuple[Base, ...] = ()
    """By `Base.id`."""
    store_paths: tuple[StorePath, ...] = ()
    """By name."""

    def packages_of(self, image: str) -> tuple[Package, ...]:
        by_id = {package.id: package for package in self.packages}
        return tuple(by_id[identity] for identity in self.images[image].packages)

    def base_of(self, image: str) -> Base | None:
        """What an image starts from, if that is an image of a registry."""
        wanted = self.images[image].base
        return next((base for base in self.bases if base.id == wanted), None)

    def closure_of(self, image: str) -> tuple[StorePath, ...]:
        """The store paths of an image, by name."""
        roots = [name for names in self.images[image].installables.values() for name in names]
        if not roots:
            return ()
        by_name = {path.name: path for path in self.store_paths}
        return tuple(by_name[name] for name in sorted(closure_of(tuple(roots), by_name)))
