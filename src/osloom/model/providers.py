"""Where what images are made of comes from, where images go, and who signs them: tables of the
definition."""

import msgspec

from osloom.model.values import (
    Arguments,
    CacheUrl,
    Name,
    NixSystem,
    PublicKey,
    RegistryAddress,
    Suite,
    Url,
    Word,
)


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """A table of the definition."""


class Repository(Table, frozen=True, kw_only=True):
    """A package repository beside Debian's own."""

    name: Name
    """How the lock and messages call it."""
    url: Url
    """Base address, the part before `dists/`."""
    suite: Suite
    """A directory below `dists/`."""
    components: tuple[Word, ...] = ("main",)
    """Parts of the suite."""
    key: str
    """Path of the OpenPGP keys that may sign it, armoured or binary."""
    priority: int = 500
    """As apt's pin priority: above 500 this repository wins over newer versions elsewhere."""


class Debian(Table, frozen=True, kw_only=True):
    """Where Debian packages come from."""

    suite: Suite = "trixie"
    """`trixie`, `bookworm`, `forky`, `sid` …"""
    mirror: Url | None = None
    """Base address of the archive; this host's own by default, or OSLOOM_DEBIAN_MIRROR."""
    security_mirror: Url | None = None
    """Base address of the security archive; found beside the mirror by default."""
    components: tuple[Word, ...] = ("main",)
    """`main`, `contrib`, `non-free-firmware`, `non-free`."""
    security: bool = True
    """Take the security suite too, where the suite has one."""
    updates: bool = True
    """Take the updates suite too, where the suite has one."""
    check_valid_until: bool = True
    """Refuse indexes whose Valid-Until is over; `false` is for snapshots and frozen mirrors only."""
    backports: bool = False
    """Make the backports suite available to packages that are asked for as `NAME=VERSION`."""
    keyring: str | None = None
    """Path of the keys that may sign; Debian's archive keyring by default."""
    repository: tuple[Repository, ...] = ()
    """More repositories, each with its own key."""


class Cache(Table, frozen=True, kw_only=True):
    """A binary cache of Nix."""

    url: CacheUrl
    """Its address."""
    keys: tuple[PublicKey, ...] = ()
    """The keys of which one has to have signed what comes from it."""


class Nix(Table, frozen=True, kw_only=True):
    """Where Nix packages come from."""

    cache: tuple[Cache, ...] = ()
    """Binary caches, the first that has a path is taken; those of this host's nix.conf by
    default."""
    overrides: dict[Name, str] = {}
    """Other flakes for inputs of flakes: `nixpkgs = "github:NixOS/nixpkgs/nixos-25.11"`."""
    system: NixSystem | None = None
    """For which system flakes are evaluated; the image's own architecture by default."""


class Registry(Table, frozen=True, kw_only=True):
    """Where `osloom push` puts images."""

    address: RegistryAddress | None = None
    """The registry, and what stands before the names of the images there."""
    insecure: bool = False
    """Allow plain HTTP and passwords over it; a registry on this machine needs no leave."""
    ca: str | None = None
    """A file with the certificates of a private authority."""


class Key(Table, frozen=True, kw_only=True):
    """A private key and its public part; one of `key`, `command`. A string is the same as
    `{ key = … }`."""

    key: str | None = None
    """Path of the private key, or a PKCS#11 URI (RFC 7512): `pkcs11:token=release;object=verity`."""
    command: Arguments | None = None
    """A program that signs: what to sign on its input, the signature on its output."""
    certificate: str | None = None
    """Path of the certificate, or of the public OpenPGP key; the one in `directory` by default."""


class Keys(Table, frozen=True, kw_only=True):
    """The keys that sign releases and images. Paths are relative to the definition."""

    directory: str | None = None
    """Where `osloom keys new` has put them; every key that is not named below is taken from it."""
    release: str | Key | None = None
    """The OpenPGP key that signs SHA256SUMS of a release."""
    verity: str | Key | None = None
    """The key that signs root hashes of dm-verity."""
    secure_boot: str | Key | None = None
    """The key that signs EFI programs."""
