"""What is in an initrd."""

import pytest

from osloom.assemble.initrd import initrd_tree
from osloom.base.errors import BuildError
from osloom.model.tree import Node, Tree, with_parents
from support.workbench import EPOCH, Workbench


def packages(workbench: Workbench) -> Tree:
    file = Node("file", 0o644, size=1, digest=workbench.store.blobs.add(b"x"), mtime=EPOCH + 9)
    paths = ("usr/lib/systemd/systemd", "usr/share/doc/systemd/copyright", "usr/lib/udev/hwdb.d/a")
    return with_parents(dict.fromkeys(paths, file), mtime=0)


def test_an_initrd_starts_systemd_and_says_that_it_is_one(workbench: Workbench) -> None:
    modules = with_parents({"usr/lib/modules/6.1/modules.dep": Node("file", 0o644)}, mtime=0)
    tree = initrd_tree(packages(workbench), modules, workbench.store.blobs, epoch=EPOCH)
    assert tree["init"].target == "usr/lib/systemd/systemd"
    assert [path for path, node in tree.items() if node.kind != "dir"] == [
        "etc/group",
        "etc/initrd-release",
        "etc/passwd",
        "etc/shadow",
        "init",
        "usr/lib/modules/6.1/modules.dep",
        "usr/lib/systemd/systemd",
    ]
    assert {node.mtime for node in tree.values()} == {EPOCH}
    assert tree["etc/shadow"].mode == 0o600


def test_packages_without_systemd_make_no_initrd(workbench: Workbench) -> None:
    with pytest.raises(BuildError) as caught:
        initrd_tree(Tree(), Tree(), workbench.store.blobs, epoch=EPOCH)
    assert caught.value.message == "cannot make an initrd: its packages hold no systemd"
