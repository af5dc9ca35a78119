"""The definition: what the user asks for, as frozen data.

`Definition` is what `osloom.toml` says, key by key: its classes are the schema (names in kebab
case), and their docstrings are the reference page. `definition.inherit` turns it into one complete
`Image` per name, with `from` followed.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

# `extra` is for this program, not for the JSON schema: `inherit` is read by `definition.inherit`,
# `hint` and `secret` (never to be shown) by `definition.check`.

Name = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$",
        description="lower-case letters, digits, `.`, `_` and `-`, a letter or digit first",
        examples=["web"],
    ),
]
UserName = Annotated[
    str,
    Meta(
        pattern=r"^[a-z_][a-z0-9_.-]{0,31}$",
        description="lower-case letters, digits, `.`, `_` and `-`, a letter or `_` first",
        examples=["app"],
    ),
]
PackageName = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9][a-z0-9+.-]+(:[a-z0-9-]+)?(=[^\s]+)?$",
        description="the name of a package, with `=VERSION` where one version is wanted",
        examples=["nginx-light"],
    ),
]
Version = Annotated[
    str,
    Meta(
        pattern=r"^[0-9A-Za-z][0-9A-Za-z._~^+-]*$",
        description="letters, digits, `.`, `_`, `~`, `^`, `+` and `-`, a letter or digit first",
        examples=["7"],
    ),
]
UnitName = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9:_.\\@-]+$",
        description="the name of a unit",
        examples=["nginx.service"],
    ),
]
AbsolutePath = Annotated[
    str, Meta(pattern=r"^/", description="a path from the image's root", examples=["/srv/www"])
]
Mode = Annotated[
    str,
    Meta(
        pattern=r"^0?[0-7]{3,4}$",
        description="three or four octal digits",
        examples=["0644"],
        extra={"hint": 'write it in octal and in quotes: `"0644"`'},
    ),
]
Size = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]+[KMGT]?$",
        description="bytes, or a number with K, M, G or T behind it",
        examples=["512M"],
    ),
]
Password = Annotated[
    str,
    Meta(
        pattern=r"^[$!*]",
        description="a crypt(5) hash, as `openssl passwd -6` makes it",
        extra={"secret": "yes"},
    ),
]
Hostname = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,62})$",
        description="letters, digits, `.` and `-`, 63 at most",
        examples=["web-1"],
    ),
]
Locale = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9_.@-]+$", description="the name of a locale", examples=["de_DE.UTF-8"]
    ),
]
Timezone = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$",
        description="the name of a time zone",
        examples=["Europe/Vienna"],
    ),
]
SysctlName = Annotated[
    str,
    Meta(
        pattern=r"^-?[A-Za-z0-9_./*-]+$",
        description="the name of a kernel parameter",
        examples=["net.ipv4.ip_forward"],
    ),
]
Word = Annotated[
    str, Meta(pattern=r"^[^\s]+$", description="a word without spaces", examples=["main"])
]
Line = Annotated[str, Meta(pattern=r"^[^\n]*$", description="text of one line", examples=["quiet"])]
Url = Annotated[
    str,
    Meta(
        pattern=r"^https?://",
        description="an address that starts with `https://` or `http://`",
        examples=["https://packages.example.com/debian"],
    ),
]
Suite = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$",
        description="the name of a directory below `dists/`",
        examples=["trixie"],
    ),
]
Port = Annotated[int, Meta(ge=1, le=65535)]
Arguments = Annotated[tuple[str, ...], Meta(extra={"inherit": "replace"})]
"""A program and its arguments: an image that sets it does not add to what it inherits."""
BASES = ("oci:", "oci-layout:")
"""How `from` begins where it names an image of a registry, or a layout of one."""
Format = Literal["oci", "nspawn", "disk", "initrd", "uki", "tar"]


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """A table of the definition."""


class Project(Table, frozen=True, kw_only=True):
    """What all images of the file share."""

    name: Name = "osloom"
    """Prefix of what is made; the default image name of a registry."""
    version: Version = "0"
    """Names releases and goes into os-release as IMAGE_VERSION."""
    epoch: Annotated[int, Meta(ge=0, le=4294967295)] | None = None
    """SOURCE_DATE_EPOCH, seconds since 1970; the lock's own date when left out."""


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


class File(Table, frozen=True, kw_only=True):
    """One path put into the image; one of `source`, `text`, `link`, `directory`."""

    source: str | None = None
    """A file or directory beside the definition."""
    text: str | None = None
    """The content itself."""
    link: str | None = None
    """Where a symbolic link points."""
    directory: bool = False
    """Make an empty directory."""
    mode: Mode | None = None
    """Permission bits in octal; by default 0644, 0755 for directories and executable sources."""
    owner: str = "root"
    """User name or number."""
    group: str | None = None
    """Group name or number; the owner's name by default."""


class User(Table, frozen=True, kw_only=True):
    """A user of the image."""

    uid: Annotated[int, Meta(ge=0, le=4294967294)] | None = None
    """By default the first free one: from 1000, or from 999 down with `system`."""
    group: str | None = None
    """The primary group; one of the user's own name by default."""
    groups: tuple[UserName, ...] = ()
    """More groups."""
    home: AbsolutePath | None = None
    """By default /home/NAME, or /nonexistent with `system`."""
    shell: AbsolutePath | None = None
    """By default /bin/bash, or /usr/sbin/nologin with `system`."""
    comment: Line = ""
    """The full name, or what the user is for."""
    system: bool = False
    """A user for a service, not for a person."""
    password: Password | None = None
    """A crypt(5) hash; without one the password is locked. Never write a plain password here."""
    authorized_keys: tuple[Line, ...] = ()
    """Lines of ~/.ssh/authorized_keys."""


class Group(Table, frozen=True, kw_only=True):
    """A group of the image."""

    gid: Annotated[int, Meta(ge=0, le=4294967294)] | None = None
    """By default the first free one."""
    system: bool = False
    """Take the number from the system range."""


class Systemd(Table, frozen=True, kw_only=True):
    """Which units start."""

    enable: tuple[UnitName, ...] = ()
    """Units to enable, as `systemctl enable` does."""
    disable: tuple[UnitName, ...] = ()
    """Units to disable."""
    mask: tuple[UnitName, ...] = ()
    """Units that may not start at all."""
    default_target: UnitName | None = None
    """What the machine boots into: `multi-user.target`."""


class Script(Table, frozen=True, kw_only=True):
    """A script run in the sandbox, as root of the image, without network, after the files."""

    run: str
    """Shell text, or a program with its own `#!` line."""
    name: str | None = None
    """How progress and errors call it."""


class Test(Table, frozen=True, kw_only=True):
    """A command that must succeed inside the running image."""

    run: str
    """Shell text; runs as root."""
    name: str | None = None
    """How the report calls it; the first line of `run` by default."""
    outputs: tuple[Format, ...] | None = None
    """Which outputs it is for; all that can run by default."""
    timeout: Annotated[int, Meta(ge=1)] = 120
    """Seconds."""


class Healthcheck(Table, frozen=True, kw_only=True):
    """How a container engine asks whether the container is well."""

    command: Arguments
    """The program and its arguments."""
    interval: Annotated[int, Meta(ge=1)] = 30
    """Seconds between checks."""
    timeout: Annotated[int, Meta(ge=1)] = 30
    """Seconds until a check counts as failed."""
    retries: Annotated[int, Meta(ge=1)] = 3
    """Failures in a row until the container is unhealthy."""


class Oci(Table, frozen=True, kw_only=True):
    """An OCI image layout."""

    compression: Literal["zstd", "gzip", "none"] = "zstd"
    """Of the layers."""
    layers: Annotated[int, Meta(ge=1, le=127)] = 64
    """At most so many layers."""
    entrypoint: Arguments = ()
    """The program and its first arguments."""
    command: Arguments = ()
    """Default arguments."""
    user: str | None = None
    """Name or number, with an optional `:group`."""
    env: dict[str, str] = {}
    """Environment of the program."""
    working_directory: AbsolutePath | None = None
    """Where the program starts."""
    ports: tuple[Port, ...] = ()
    """TCP ports that the program listens on."""
    volumes: tuple[AbsolutePath, ...] = ()
    """Directories that hold data."""
    stop_signal: str | None = None
    """What asks the program to end: `SIGTERM`."""
    labels: dict[str, str] = {}
    """Labels of the image configuration."""
    annotations: dict[str, str] = {}
    """Annotations of the manifest."""
    healthcheck: Healthcheck | None = None
    """How to ask whether the container is well."""
    tag: str | None = None
    """The name in the layout's index; the project's version by default."""


class Nspawn(Table, frozen=True, kw_only=True):
    """A tar archive for systemd-nspawn and machinectl."""

    compression: Literal["gzip", "xz", "zstd"] = "gzip"
    """Of the archive; importctl of systemd 257 does not take `zstd` yet."""
    level: Annotated[int, Meta(ge=1, le=19)] = 3
    """Of the compression."""


class Tar(Table, frozen=True, kw_only=True):
    """The root file system as a tar archive."""

    compression: Literal["none", "zstd", "xz", "gzip"] = "none"
    """Of the archive."""
    level: Annotated[int, Meta(ge=1, le=19)] = 3
    """Of the compression."""


class Disk(Table, frozen=True, kw_only=True):
    """A bootable disk: GPT, an ESP with systemd-boot and a UKI, and a root partition."""

    format: Literal["raw", "qcow2"] = "raw"
    """Of the file."""
    filesystem: Literal["ext4", "erofs", "btrfs"] = "ext4"
    """Of the root partition; with erofs, what the system writes is forgotten when it ends."""
    size: Size | None = None
    """Of the root partition; what the content needs and 20 % by default."""
    esp_size: Size = "256M"
    """Of the EFI system partition."""
    compression: str | None = None
    """Of erofs: `lz4`, `lz4hc,12`, `zstd,9` …; of btrfs: `zstd`, `zstd,9`; none by default."""


class Initrd(Table, frozen=True, kw_only=True):
    """The initial RAM disk that every bootable output of the image shares."""

    packages: tuple[PackageName, ...] = ()
    """More packages in it."""
    modules: tuple[str, ...] = ()
    """More kernel modules in it, by name."""
    compression: Literal["zstd", "gzip", "none"] = "zstd"
    """Of the archive."""


class Uki(Table, frozen=True, kw_only=True):
    """A unified kernel image."""


class Image(Table, frozen=True, kw_only=True):
    """One image. `from` takes everything of another image but `outputs`: arrays add up, tables merge
    key by key, other values replace. On an image of a registry packages are files alone."""

    from_: Annotated[str, Meta(extra={"inherit": "never"})] | None = msgspec.field(
        default=None, name="from"
    )
    """The image to start from: one of this file, `oci:REGISTRY/NAME:TAG` or `oci-layout:PATH`."""
    packages: tuple[PackageName, ...] = ()
    """Packages to install with what they depend on; `NAME=VERSION` picks a version."""
    recommends: bool | None = None
    """Take recommended packages too; no by default."""
    architecture: Literal["amd64", "arm64"] | None = None
    """The machine it is for; amd64 by default."""
    configure: Literal["dpkg", "none"] | None = None
    """`dpkg` runs the packages' scripts and keeps dpkg's database; `none` takes just the files."""
    hostname: Hostname | None = None
    """Written to /etc/hostname."""
    locale: Locale | None = None
    """LANG of the system: `C.UTF-8`, `de_DE.UTF-8` (needs the package `locales`)."""
    timezone: Timezone | None = None
    """As in `Europe/Vienna` (needs the package `tzdata`)."""
    kernel_command_line: tuple[Line, ...] = ()
    """Words added to the kernel's command line."""
    sysctl: dict[SysctlName, Line | int] = {}
    """Kernel parameters, written to /etc/sysctl.d."""
    files: dict[AbsolutePath, str | File] = {}
    """What to put where; a text is the same as `{ source = … }`."""
    remove: tuple[AbsolutePath, ...] = ()
    """Paths to leave out, with all that is below; `*` and `?` match within a name."""
    users: dict[UserName, User] = {}
    """Users to make."""
    groups: dict[UserName, Group] = {}
    """Groups to make."""
    systemd: Systemd = Systemd()
    """Which units start."""
    script: tuple[Script, ...] = ()
    """Scripts run in the sandbox, in order."""
    test: tuple[Test, ...] = ()
    """Commands that must succeed inside the running image."""
    outputs: Annotated[tuple[Format, ...], Meta(extra={"inherit": "never"})] = ()
    """What to make; nothing for an image that others start from."""
    oci: Oci = Oci()
    """Settings of the output `oci`."""
    nspawn: Nspawn = Nspawn()
    """Settings of the output `nspawn`."""
    tar: Tar = Tar()
    """Settings of the output `tar`."""
    disk: Disk = Disk()
    """Settings of the output `disk`."""
    initrd: Initrd = Initrd()
    """Settings of the output `initrd` and of what boots with it."""
    uki: Uki = Uki()
    """Settings of the output `uki`."""

    @property
    def base(self) -> str | None:
        """The image of a registry that it starts from, of itself or by another image."""
        return self.from_ if self.from_ and self.from_.startswith(BASES) else None


class Definition(Table, frozen=True, kw_only=True):
    """The whole file."""

    project: Project = Project()
    """What all images of the file share."""
    debian: Debian = Debian()
    """Where Debian packages come from."""
    image: Annotated[dict[Name, Image], Meta(min_length=1)]
    """The images, by name."""
