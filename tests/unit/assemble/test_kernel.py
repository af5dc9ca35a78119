"""Which kernel, and which of its modules."""

import pytest

from osloom.assemble.kernel import (
    choose_modules,
    find_kernel,
    kernel_versions,
    parse_depends,
    with_needs,
)
from osloom.base.digest import digest_bytes
from osloom.base.errors import BuildError
from osloom.model.tree import Node, Tree, with_parents

FILE = Node("file", 0o644, size=1, digest=digest_bytes(b"x"))
DEPENDS = parse_depends(
    """kernel/fs/ext4/ext4.ko.xz: kernel/fs/jbd2/jbd2.ko.xz kernel/other/mbcache.ko.xz
kernel/fs/jbd2/jbd2.ko.xz:
kernel/other/mbcache.ko.xz:
kernel/drivers/virtio/virtio_pci.ko.xz: kernel/drivers/virtio/virtio.ko.xz
kernel/drivers/virtio/virtio.ko.xz:
kernel/drivers/md/dm-verity.ko.xz:
kernel/drivers/gpu/drm/huge.ko.xz:
kernel/drivers/net/wire-guard.ko.xz: kernel/drivers/gpu/drm/huge.ko.xz
"""
)


def test_an_initrd_has_what_mounting_needs_and_no_more() -> None:
    assert sorted(choose_modules(DEPENDS, [])) == [
        "kernel/drivers/md/dm-verity.ko.xz",
        "kernel/drivers/virtio/virtio.ko.xz",
        "kernel/drivers/virtio/virtio_pci.ko.xz",
        "kernel/fs/ext4/ext4.ko.xz",
        "kernel/fs/jbd2/jbd2.ko.xz",
        "kernel/other/mbcache.ko.xz",
    ]


@pytest.mark.parametrize("name", ["wire-guard", "wire_guard"])
def test_a_module_asked_for_comes_with_what_it_needs(name: str) -> None:
    more = choose_modules(DEPENDS, [name]) - choose_modules(DEPENDS, [])
    assert more == {"kernel/drivers/net/wire-guard.ko.xz", "kernel/drivers/gpu/drm/huge.ko.xz"}


def test_a_module_that_does_not_exist_is_named() -> None:
    with pytest.raises(BuildError) as caught:
        choose_modules(DEPENDS, ["ext5"])
    assert caught.value.message == "cannot find the kernel module `ext5`"


def test_modules_that_need_each_other_come_to_an_end() -> None:
    assert with_needs(["a"], {"a": ["b"], "b": ["a"]}) == {"a", "b"}


def test_the_newest_kernel_is_the_last() -> None:
    versions = ["6.12.9-amd64", "6.12.48+deb13-amd64", "6.1.0-40-amd64"]
    tree = with_parents({f"usr/lib/modules/{one}/modules.dep": FILE for one in versions}, mtime=0)
    assert kernel_versions(tree) == ["6.1.0-40-amd64", "6.12.9-amd64", "6.12.48+deb13-amd64"]


def test_a_kernel_is_found_with_its_modules_or_in_boot() -> None:
    here, there = "usr/lib/modules/6.1/vmlinuz", "boot/vmlinuz-6.1"
    assert find_kernel(Tree({here: FILE, there: FILE}), "6.1") == here
    assert find_kernel(Tree({there: FILE}), "6.1") == there
    assert find_kernel(Tree({there: FILE}), "6.2") is None
