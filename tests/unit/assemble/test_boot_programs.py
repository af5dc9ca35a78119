"""What a disk starts with."""

import pytest

from osloom.assemble.boot_programs import find_loader, find_stub
from osloom.base.digest import digest_bytes
from osloom.base.errors import BuildError
from osloom.model.tree import Node, Tree

_TOOLS = Tree(
    {
        f"usr/lib/systemd/boot/efi/{name}": Node("file", 0o644, digest=digest_bytes(name.encode()))
        for name in ("linuxx64.efi.stub", "systemd-bootx64.efi")
    }
)


def test_programs_of_the_own_architecture_are_found() -> None:
    assert find_stub(_TOOLS, "amd64") == digest_bytes(b"linuxx64.efi.stub")
    assert find_loader(_TOOLS, "amd64") == digest_bytes(b"systemd-bootx64.efi")


def test_tools_of_another_architecture_say_so() -> None:
    with pytest.raises(BuildError) as caught:
        find_stub(_TOOLS, "arm64")
    assert caught.value.message == (
        "cannot make an arm64 system start: the tools image has no linuxaa64.efi.stub"
    )
    assert caught.value.hint == "build it on a machine that is arm64 itself"
    with pytest.raises(BuildError, match=r"has no systemd-bootaa64\.efi"):
        find_loader(_TOOLS, "arm64")
