"""What has to be locked: the definition's images, and those that osloom needs for itself."""

from collections.abc import Iterator, Mapping

import msgspec

from osloom.engine import toolset
from osloom.model.definition import Definition, Image
from osloom.run.machine import PACKAGES as MACHINE_PACKAGES
from osloom.sources.debian.request import Request

TOOLS = ".tools"
COMPRESSORS = ".compressors"
CONTAINERS = ".containers"
NIX = ".nix"
EMULATOR = ".emulator"
_BOOTABLE = {"disk", "uki", "initrd"}

INITRD_PACKAGES = ("systemd", "udev", "kmod", "dash", "mount", "util-linux", "e2fsprogs")
"""What an initrd needs to find and mount a root file system. No script of theirs runs."""


PRELOADED = ("fakeroot", "libfaketime")
"""What is loaded into programs in the sandbox: so it is of the image's own suite."""


APPLICATION = ("base-files", "ca-certificates", "tzdata")
"""What every application of Debian packages has beside its own, unless its `without` says
otherwise: os-release, the licences that others refer to, certificates, time zones. One of Nix
packages alone has nothing of Debian: what it needs of these its closure has."""

WRITABLE = ("nix-bin", "sqlite3")
"""What is in an image with `nix.writable`: Nix, and what reads its databases at the boot."""

APPLIANCE = ("dbus", "dmsetup", "systemd-boot", "systemd-sysv", "udev")
"""What is in every appliance: a system, what names its verified root, what finds a boot good."""

APPLIANCE_INITRD = ("systemd-cryptsetup", "systemd-repart")
"""What its initrd has beside INITRD_PACKAGES: what finds a verified root, and what makes the data
partition."""

TPM = ("libtss2-esys-3.0.2-0", "libtss2-rc0", "libtss2-tcti-device0")
"""What systemd loads to speak with a TPM."""

UPDATES = ("curl", "gpg", "systemd-container")
"""What is in one that updates itself: systemd-sysupdate, what checks signatures for it, and what
fetches changed blocks."""

EXTENDED = ("libcryptsetup12",)
"""What is in one that takes extensions: what has the kernel verify them."""

SCRIPTS_ONLY = (
    "adduser",
    "base-files>awk",
    "ca-certificates>openssl",
    "cdebconf",
    "debconf",
    "debconf-2.0",
    "debianutils",
    "dpkg",
    "init-system-helpers",
    "install-info",
    "lsb-base",
    "nginx>iproute2",
    "sysvinit-utils",
    "ucf",
    "update-inetd",
)
"""Dependencies that packages have for their scripts alone, which do not run in an application.
Seen in the scripts of trixie and bookworm."""


def architecture_of(image: Image) -> str:
    """What it is for; of an image for several, this machine's if it is one of them."""
    if image.architectures:
        host = host_architecture()
        return host if host in image.architectures else image.architectures[0]
    return image.architecture or "amd64"


def variant_for_host(name: str, image: Image) -> tuple[str, Image]:
    """The variant of an image that this machine would run, with its name in the lock."""
    own = image.variants(name)
    wanted = f"{name}/{architecture_of(image)}"
    return (wanted, own[wanted]) if wanted in own else (name, image)


def machine_name(architecture: str) -> str:
    return f".machine/{architecture}"


def initrd_name(suite: str, image: Image) -> str | None:
    """Which locked image is the initrd of `image`; None when it boots without, or not at all."""
    if image.nixos is not None or not _BOOTABLE & set(image.outputs):
        return None
    extra = "".join(f"/{name}" for name in initrd_packages(image))
    return f".initrd/{suite}/{architecture_of(image)}{extra}"


def _appliance_packages(image: Image) -> tuple[str, ...]:
    """What an appliance has beside its own."""
    if not image.disk.is_appliance or image.nixos is not None:
        return ()
    method = image.disk.data.encryption
    own: tuple[str, ...] = UPDATES if image.update.url is not None else ()
    # What makes the encrypted data larger, and encrypts what is swapped out.
    own += ("systemd-cryptsetup",) if method != "none" else ()
    own += TPM if method == "tpm2" else ()
    own += EXTENDED if image.update.extensions else ()
    return APPLIANCE + own


def initrd_packages(image: Image) -> tuple[str, ...]:
    """What its initrd has beside what every initrd has."""
    if not image.disk.is_appliance:
        return image.initrd.packages
    own: tuple[str, ...] = APPLIANCE_INITRD
    own += ("btrfs-progs",) if "btrfs" in image.disk.made_filesystems else ()
    own += TPM if image.disk.data.encryption == "tpm2" else ()
    return (*own, *image.initrd.packages)


def fakeroot_name(suite: str, image: Image) -> str:
    return f".fakeroot/{suite}/{architecture_of(image)}"


def debug_name(suite: str, image: Image) -> str:
    """Which locked image holds the debug tools for `image`."""
    return f".debug/{suite}/{architecture_of(image)}"


def is_emulated(image: Image) -> bool:
    """Whether the build runs programs that this host's processor does not know."""
    return image.runs_programs and architecture_of(image) != host_architecture()


def nspawn_host_name(architecture: str) -> str:
    return f".nspawn/{architecture}"


def requests(definition: Definition) -> Mapping[str, Request]:
    """One for each image with outputs, and for the tools, initrds and machines they need."""
    suite = definition.debian.suite
    wanted = {
        TOOLS: _plain(toolset.PACKAGES, toolset.SUITE, host_architecture()),
        COMPRESSORS: _plain(toolset.COMPRESSORS, toolset.SUITE, host_architecture()),
    }
    for name, image in _every_variant(definition):
        wanted[name] = _request(image, suite, definition)
        wanted |= _beside(image, suite)
        if "oci" in image.outputs:
            wanted[CONTAINERS] = _plain(toolset.CONTAINERS, toolset.SUITE, host_architecture())
            debug = _plain(toolset.DEBUG, suite, architecture_of(image))
            wanted[debug_name(suite, image)] = debug
        if image.installables:
            wanted[NIX] = _plain(toolset.NIX, toolset.SUITE, host_architecture())
        if "nspawn" in image.outputs:
            host = nspawn_host(architecture_of(image))
            locked = nspawn_host_name(architecture_of(image))
            wanted[locked] = _request(host, toolset.SUITE, definition)
            wanted |= _beside(host, toolset.SUITE)
    return wanted


def _every_variant(definition: Definition) -> Iterator[tuple[str, Image]]:
    for name, image in definition.image.items():
        yield from image.variants(name).items()


def needed_by(definition: Definition, name: str) -> tuple[str, ...]:
    """The locked images that decide what the outputs of the image `name` are."""
    image = definition.image[name]
    images = image.variants(name)
    if image.debug_of is not None:
        images |= definition.image[image.debug_of].variants(image.debug_of)
    if image.extends is not None:
        images |= definition.image[image.extends].variants(image.extends)
    beside = [one for each in images.values() for one in _beside(each, definition.debian.suite)]
    programs = () if image.is_application and not image.script else (TOOLS,)
    return tuple(dict.fromkeys((*images, *beside, COMPRESSORS, *programs)))


def nspawn_host(architecture: str) -> Image:
    """The system in which an nspawn output is booted for its tests."""
    kernel = {"amd64": "linux-image-cloud-amd64", "arm64": "linux-image-cloud-arm64"}
    return Image(
        packages=(
            "systemd-sysv",
            "systemd-container",
            "udev",
            "dbus",
            "e2fsprogs",
            "zstd",
            kernel[architecture],
        ),
        architecture=architecture,  # type: ignore[arg-type]
        hostname="osloom",
        outputs=("disk",),
    )


def _request(image: Image, suite: str, definition: Definition) -> Request:
    names, without = image.packages, image.without
    if image.is_extension:
        without += SCRIPTS_ONLY
    if image.extends is not None:
        # Together: what is new is chosen to go with what is there.
        below = _request(definition.image[image.extends], suite, definition)
        return msgspec.structs.replace(
            below,
            names=(*below.names, *(name for name in names if name not in below.names)),
            recommends=below.recommends or bool(image.recommends),
            without=(*below.without, *without),
        )
    if image.nix.writable:
        names += tuple(name for name in WRITABLE if name not in names)
    names += tuple(name for name in _appliance_packages(image) if name not in names)
    if image.debug_of is not None:
        return Request(
            names=names or toolset.DEBUG,
            suite=suite,
            architecture=architecture_of(image),
            essential=False,
            recommends=False,
            without=(*without, *SCRIPTS_ONLY),
        )
    # Packages of Nix bring along all that they need.
    if image.is_application and (names or not image.nix.packages):
        names += tuple(name for name in APPLICATION if name not in (*names, *without))
        without += SCRIPTS_ONLY
    return Request(
        names=names,
        suite=suite,
        architecture=architecture_of(image),
        essential=image.runs_dpkg,
        recommends=bool(image.recommends),
        without=without,
    )


def _plain(names: tuple[str, ...], suite: str, architecture: str) -> Request:
    """Just packages and what they need, of which no script will run."""
    return Request(
        names=names, suite=suite, architecture=architecture, essential=False, recommends=False
    )


def _beside(image: Image, suite: str) -> dict[str, Request]:
    """What an image needs beside its own packages."""
    architecture = architecture_of(image)
    wanted = {fakeroot_name(suite, image): _plain(PRELOADED, suite, architecture)}
    if is_emulated(image):
        wanted[EMULATOR] = _plain(toolset.EMULATOR, toolset.SUITE, host_architecture())
    initrd = initrd_name(suite, image)
    if initrd is not None:
        names = (*INITRD_PACKAGES, *initrd_packages(image))
        wanted[initrd] = _plain(names, suite, architecture)
    if _BOOTABLE & set(image.outputs):
        qemu = (*MACHINE_PACKAGES[architecture], "bubblewrap")
        wanted[machine_name(architecture)] = _plain(qemu, toolset.SUITE, host_architecture())
    return wanted


def host_architecture() -> str:
    import platform

    return {"aarch64": "arm64"}.get(platform.machine(), "amd64")
