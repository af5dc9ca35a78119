"""Checks of files against a tree."""

import pytest

from osloom.base.digest import Digest
from osloom.model.definition import Test as Check
from osloom.model.tree import Node, Tree
from osloom.run.file_check import file_problem

BLOBS = {
    Digest("sha256:1"): b"root:x:0:0::/:\napp:x:7:8::/:\n",
    Digest("sha256:2"): b"listen 80;\n",
}
TREE = Tree(
    {
        "etc": Node("dir", 0o755),
        "etc/passwd": Node("file", 0o644, digest=Digest("sha256:1")),
        "srv": Node("dir", 0o750, uid=7, gid=8),
        "srv/conf": Node("file", 0o640, uid=7, gid=8, digest=Digest("sha256:2")),
        "srv/also": Node("hardlink", 0o640, target="srv/conf"),
        "conf": Node("symlink", 0o777, target="/srv/conf"),
        "dangling": Node("symlink", 0o777, target="/no"),
    }
)


@pytest.mark.parametrize(
    ("check", "problem"),
    [
        (Check(file="/srv/conf"), ""),
        (Check(file="/conf", mode="0640", owner="app", contains="listen"), ""),
        (Check(file="/srv/also", mode="640", owner="7:8", contains="listen"), ""),
        (Check(file="/srv/", mode="0750"), ""),
        (Check(file="/no"), "/no is not there"),
        (Check(file="/no", absent=True), ""),
        (Check(file="/srv/conf", absent=True), "/srv/conf is there"),
        (Check(file="/dangling", absent=True), "/dangling is there"),
        (Check(file="/dangling"), "/dangling is not there"),
        (Check(file="/conf", mode="0644"), "its mode is 0640, not 0644"),
        (Check(file="/conf", owner="root"), "its owner is 7:8, not root"),
        (Check(file="/conf", owner="7:9"), "its owner is 7:8, not 7:9"),
        (Check(file="/conf", owner="nobody"), "the image has no user `nobody`"),
        (Check(file="/conf", contains="443"), "it does not contain `443`"),
        (Check(file="/srv", contains="x"), "it is a dir, which contains no text"),
    ],
)
def test_the_first_thing_that_is_wrong_is_said(check: Check, problem: str) -> None:
    assert file_problem(check, TREE, BLOBS.__getitem__) == problem


def test_all_that_is_wrong_is_said() -> None:
    check = Check(file="/conf", mode="0644", contains="443")
    said = "its mode is 0640, not 0644; it does not contain `443`"
    assert file_problem(check, TREE, BLOBS.__getitem__) == said
