"""The definition: what the user asks for, as frozen data.

`Definition` is what `osloom.toml` says, key by key: its classes are the schema (names in kebab
case), and their docstrings are the reference page. `definition.inherit` turns it into one complete
`Image` per name, with `from` followed.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from osloom.model.disk import Disk
from osloom.model.extension import EXTENSIONS, Extension
from osloom.model.providers import Debian, Keys, Nix, Registry, Table
from osloom.model.update import Health, Release, Update
from osloom.model.values import (
    BASES,
    BUILT_IN_LOCALES,
    AbsolutePath,
    Architecture,
    Architectures,
    Argument,
    Arguments,
    EnvironmentName,
    Format,
    Hostname,
    HttpUrl,
    Installable,
    LabelName,
    Line,
    LinkTarget,
    Locale,
    Mode,
    Name,
    PackageName,
    Password,
    Port,
    PortName,
    RepositoryName,
    Signal,
    SysctlName,
    Tag,
    Timezone,
    UnitName,
    UserName,
    Version,
    Word,
)


class Project(Table, frozen=True, kw_only=True):
    """What all images of the file share."""

    name: Name = "osloom"
    """Prefix of what is made; the default image name of a registry."""
    version: Version = "0"
    """Names releases and goes into os-release as IMAGE_VERSION; `0` is none."""
    epoch: Annotated[int, Meta(ge=0, le=4294967295)] | None = None
    """SOURCE_DATE_EPOCH, seconds since 1970; the lock's own date when left out."""
    revision: bool = False
    """Write the git commit into containers, as their revision and the time they were created: each
    commit then makes other images."""


class NixPackages(Table, frozen=True, kw_only=True):
    """What an image takes from Nix. An array is the same as `{ packages = … }`."""

    packages: tuple[Installable, ...] = ()
    """Flake references with an attribute, or store paths: `nixpkgs#kubectl`, `.#app`."""
    installed: bool = False
    """Register the paths in the image's own Nix database, so that Nix inside knows them."""
    writable: bool = False
    """Let users of the machine add to the store, though the image's own part is read-only. Nix is
    installed for that, and the machine needs a disk that stays at /var or /var/lib/nix."""

    @property
    def is_used(self) -> bool:
        """Whether the image has a Nix store."""
        return bool(self.packages) or self.writable


class File(Table, frozen=True, kw_only=True):
    """One path put into the image; one of `source`, `text`, `link`, `directory`."""

    source: str | None = None
    """A file or directory beside the definition."""
    text: str | None = None
    """The content itself."""
    link: LinkTarget | None = None
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
    """One check of the image: `run`, or in a container `http`, `file` or `arguments`."""

    run: str | None = None
    """Shell text that must succeed inside the running image; runs as root."""
    http: HttpUrl | None = None
    """An address that the container's program must answer: it is started for that, by itself."""
    file: AbsolutePath | None = None
    """A path that must be in the image; nothing is started."""
    arguments: Arguments | None = None
    """Start the container's program with these in the place of `command`; alone, it must end."""
    status: Annotated[int, Meta(ge=0, le=599)] | None = None
    """Of the answer, 200 by default; or the exit status of what runs, 0 by default."""
    contains: str | None = None
    """Text that the answer, the file or what the program says has to have in it."""
    mode: Mode | None = None
    """Permission bits of the file, in octal."""
    owner: Word | None = None
    """User of the file by name or number, with an optional `:group`."""
    absent: bool = False
    """The path must not be in the image."""
    read_only: bool = False
    """Run it with a root that it cannot write to, and without capabilities; /tmp and the volumes
    can be written to."""
    name: str | None = None
    """How the report calls it; what it checks by default."""
    outputs: tuple[Format, ...] | None = None
    """Which outputs it is for; all that can run it by default."""
    timeout: Annotated[int, Meta(ge=1)] = 120
    """Seconds."""

    @property
    def is_for_containers(self) -> bool:
        """Whether only the output `oci` can run it."""
        needs = (self.http, self.file, self.arguments)
        return self.read_only or any(one is not None for one in needs)


class Healthcheck(Table, frozen=True, kw_only=True):
    """How a container engine asks whether the container is well."""

    command: Annotated[Arguments, Meta(min_length=1)]
    """The program and its arguments."""
    interval: Annotated[int, Meta(ge=1, le=604800)] = 30
    """Seconds between checks."""
    timeout: Annotated[int, Meta(ge=1, le=604800)] = 30
    """Seconds until a check counts as failed."""
    start_period: Annotated[int, Meta(ge=0, le=604800)] = 0
    """Seconds after the start in which failures do not count."""
    retries: Annotated[int, Meta(ge=1)] = 3
    """Failures in a row until the container is unhealthy."""


class Oci(Table, frozen=True, kw_only=True):
    """An OCI image layout."""

    compression: Literal["zstd", "gzip", "none"] = "zstd"
    """Of the layers."""
    layers: Annotated[int, Meta(ge=1, le=127)] = 100
    """At most so many layers; engines take about 125, with those of whoever builds on this image."""
    entrypoint: Arguments = ()
    """The program and its first arguments; by default the one that the first package is named for."""
    command: Arguments = ()
    """Default arguments."""
    user: Word | None = None
    """Name or number, with an optional `:group`; by default `nonroot`, 65532, in an application."""
    home: AbsolutePath | None = None
    """A home directory that the default user may write to; none by default."""
    env: dict[EnvironmentName, Argument] = {}
    """Environment of the program."""
    working_directory: AbsolutePath | None = None
    """Where the program starts."""
    ports: tuple[Port | PortName, ...] = ()
    """Ports that the program listens on: `8080`, `"53/udp"`."""
    volumes: tuple[AbsolutePath, ...] = ()
    """Directories that hold data."""
    stop_signal: Signal | None = None
    """What asks the program to end: `SIGTERM`."""
    labels: dict[LabelName, str] = {}
    """Labels of the image configuration."""
    annotations: dict[LabelName, str] = {}
    """Annotations of the manifest."""
    healthcheck: Healthcheck | None = None
    """How to ask whether the container is well."""
    tag: Tag | None = None
    """The name in the layout's index; the first package's version by default in an application, or
    the project's."""
    repository: RepositoryName | None = None
    """Where `osloom push` puts it, below the registry's address; the image's name by default."""
    tags: tuple[Tag, ...] = ()
    """More tags in the registry, beside `tag`."""
    debug: bool = False
    """Also make NAME-debug: the same, with tools, and it stays when the program ends."""


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
    key by key, other values replace."""

    from_: Annotated[str, Meta(extra={"inherit": "never"})] | None = msgspec.field(
        default=None, name="from"
    )
    """The image to start from: one of this file, `oci:REGISTRY/NAME:TAG` or `oci-layout:PATH`."""
    packages: tuple[PackageName, ...] = ()
    """Packages to install with what they depend on; `NAME=VERSION` picks a version."""
    nix: Annotated[NixPackages, Meta(extra={"array": "packages"})] = NixPackages()
    """Packages of Nix, with all that they refer to."""
    nixos: Installable | None = None
    """A NixOS system that is the whole image: `.#nixosConfigurations.gateway`, or a store path."""
    recommends: bool | None = None
    """Take recommended packages too; no by default."""
    without: tuple[PackageName, ...] = ()
    """Packages not to take though others depend on them, where their scripts do not run."""
    service: UnitName | None = None
    """A systemd service of the packages that an application runs: `nginx`. Its program, user,
    environment, directories and stop signal are carried over."""
    debug_of: Annotated[Name, Meta(extra={"inherit": "never"})] | None = None
    """The image to which this one adds tools, in a layer of their own: `packages` says which."""
    extends: Name | None = None
    """The image that a `sysext` or `confext` is for: what that has already is left out."""
    keep: tuple[Literal["doc", "man", "info", "locale", "completions"], ...] | None = None
    """What applications and extensions leave out and this one has: documentation, man and info
    pages, translations, shell completions."""
    architecture: Architecture | None = None
    """The machine it is for; amd64 by default."""
    architectures: Architectures = ()
    """The machines that one container is for, behind one index; for the output `oci` alone."""
    configure: Literal["dpkg", "none"] | None = None
    """`dpkg` runs the packages' scripts and keeps dpkg's database; `none` takes just the files, and
    is the default of an image whose only output is `oci` and that runs no scripts itself."""
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
    """What has to be true of the image, and what must succeed inside it."""
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
    extension: Extension = Extension()
    """Settings of the outputs `sysext` and `confext`."""
    update: Update = Update()
    """How devices that run the image update themselves."""
    health: tuple[Health, ...] = ()
    """What makes a new version of an appliance a good one."""

    @property
    def runs_dpkg(self) -> bool:
        """Whether the packages' scripts run; see `configure`."""
        if self.nixos is not None or self.is_extension:
            return False
        if self.configure is not None:
            return self.configure == "dpkg"
        return self.outputs != ("oci",) or self._asks_programs

    @property
    def runs_programs(self) -> bool:
        """Whether programs of the image run while it is built: the packages' scripts, or others."""
        return self.runs_dpkg or self._asks_programs

    @property
    def is_extension(self) -> bool:
        """Whether it is made for another system that runs."""
        return not EXTENSIONS.isdisjoint(self.outputs)

    @property
    def _asks_programs(self) -> bool:
        if self.is_extension:
            return False
        return bool(self.script or self.made_locale or self.systemd != Systemd())

    @property
    def made_locale(self) -> str | None:
        """The locale that a program has to make."""
        return None if self.locale in BUILT_IN_LOCALES else self.locale

    def variants(self, name: str) -> "dict[str, Image]":
        """Each architecture's image, by its name in the lock: `NAME`, or `NAME/ARCHITECTURE`."""
        if not self.architectures:
            return {name: self}
        return {
            f"{name}/{one}": msgspec.structs.replace(self, architecture=one, architectures=())
            for one in self.architectures
        }

    @property
    def installables(self) -> tuple[str, ...]:
        """All that the image takes from Nix, each once."""
        nixos = (self.nixos,) if self.nixos is not None else ()
        return tuple(dict.fromkeys((*nixos, *self.nix.packages)))

    @property
    def is_application(self) -> bool:
        """Whether osloom makes a container around one program of the packages' files."""
        packaged = self.base is None and self.nixos is None
        return "oci" in self.outputs and not self.runs_dpkg and packaged

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
    nix: Nix = Nix()
    """Where Nix packages come from."""
    registry: Registry = Registry()
    """Where images are pushed to."""
    release: Release = Release()
    """Where `osloom release` publishes versions."""
    keys: Keys = Keys()
    """Who signs releases and images."""
    image: Annotated[dict[Name, Image], Meta(min_length=1)]
    """The images, by name."""
