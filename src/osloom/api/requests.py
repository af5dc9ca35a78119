"""What has to be locked: the definition's images, and those that osloom needs for itself."""

from collections.abc import Mapping

from osloom.engine import toolset
from osloom.model.definition import Definition, Image
from osloom.run.machine import PACKAGES as MACHINE_PACKAGES
from osloom.sources.debian.lock import Request

TOOLS = ".tools"
_BOOTABLE = {"disk", "uki", "initrd"}

INITRD_PACKAGES = ("systemd", "udev", "kmod", "dash", "mount", "util-linux", "e2fsprogs")
"""What an initrd needs to find and mount a root file system. No script of theirs runs."""


def architecture_of(image: Image) -> str:
    return image.architecture or "amd64"


def machine_name(architecture: str) -> str:
    return f".machine/{architecture}"


def initrd_name(definition: Definition, image: Image) -> str | None:
    """Which locked image is the initrd of `image`; None when it does not boot by itself."""
    if not _BOOTABLE & set(image.outputs):
        return None
    extra = "".join(f"/{name}" for name in image.initrd.packages)
    return f".initrd/{definition.debian.suite}/{architecture_of(image)}{extra}"


def fakeroot_name(definition: Definition, image: Image) -> str:
    return f".fakeroot/{definition.debian.suite}/{architecture_of(image)}"


def requests(definition: Definition) -> Mapping[str, Request]:
    """One for each image with outputs, and for the tools, initrds and machines they need."""
    suite = definition.debian.suite
    wanted: dict[str, Request] = {
        TOOLS: Request(
            names=toolset.PACKAGES,
            suite=toolset.SUITE,
            architecture=_host_architecture(),
            essential=False,
            recommends=False,
        )
    }
    for name, image in definition.image.items():
        architecture = architecture_of(image)
        wanted[name] = Request(
            names=image.packages,
            suite=suite,
            architecture=architecture,
            essential=image.configure != "none",
            recommends=bool(image.recommends),
        )
        wanted[fakeroot_name(definition, image)] = Request(
            names=("fakeroot",),
            suite=suite,
            architecture=architecture,
            essential=False,
            recommends=False,
        )
        initrd = initrd_name(definition, image)
        if initrd is not None:
            wanted[initrd] = Request(
                names=(*INITRD_PACKAGES, *image.initrd.packages),
                suite=suite,
                architecture=architecture,
                essential=False,
                recommends=False,
            )
            wanted[machine_name(architecture)] = Request(
                names=MACHINE_PACKAGES[architecture] + ("bubblewrap",),
                suite=toolset.SUITE,
                architecture=_host_architecture(),
                essential=False,
                recommends=False,
            )
    return wanted


def _host_architecture() -> str:
    import platform

    return {"aarch64": "arm64"}.get(platform.machine(), "amd64")
