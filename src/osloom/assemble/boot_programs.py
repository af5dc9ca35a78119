"""The EFI programs of systemd that a disk starts with, from the tools image."""

from osloom.base.digest import Digest
from osloom.base.errors import BuildError
from osloom.model.tree import Tree

STUBS = {"amd64": "linuxx64.efi.stub", "arm64": "linuxaa64.efi.stub"}
"""systemd-stub(7)."""
LOADERS = {
    "amd64": ("systemd-bootx64.efi", "BOOTX64.EFI"),
    "arm64": ("systemd-bootaa64.efi", "BOOTAA64.EFI"),
}
"""systemd-boot(7): its own name, and that of what firmware starts of itself."""
_PLACE = "usr/lib/systemd/boot/efi"


def find_stub(tools: Tree, architecture: str) -> Digest:
    """Raises BuildError where the tools are of another architecture."""
    return _find(tools, STUBS[architecture], architecture)


def find_loader(tools: Tree, architecture: str) -> Digest:
    """Raises BuildError as `find_stub`."""
    return _find(tools, LOADERS[architecture][0], architecture)


def _find(tools: Tree, name: str, architecture: str) -> Digest:
    node = tools.get(f"{_PLACE}/{name}")
    if node is None or node.digest is None:
        raise BuildError(
            f"cannot make an {architecture} system start: the tools image has no {name}",
            hint=f"build it on a machine that is {architecture} itself",
        )
    return node.digest
