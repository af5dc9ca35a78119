"""The cpio writer, read back by the rules of the kernel's own documentation."""

import stat
from collections.abc import Iterator

import pytest

from osloom.base.digest import Digest, digest_bytes
from osloom.model.cpio import write_cpio
from osloom.model.tree import Node, Tree, TreeError, with_parents

CONTENT = {digest_bytes(data): data for data in (b"", b"x", b"y" * 513)}


def read(digest: Digest) -> list[bytes]:
    return [CONTENT[digest]]


def file(data: bytes = b"x", mode: int = 0o644) -> Node:
    return Node("file", mode, size=len(data), digest=digest_bytes(data), mtime=9)


def members(data: bytes) -> Iterator[tuple[str, list[int], bytes]]:
    """Name, the thirteen fields after the magic, and content of each member."""
    place = 0
    while True:
        assert data[place : place + 6] == b"070701"
        fields = [int(data[place + 6 + 8 * n : place + 14 + 8 * n], 16) for n in range(13)]
        size, length = fields[6], fields[11]
        name = data[place + 110 : place + 110 + length - 1].decode()
        assert data[place + 110 + length - 1] == 0
        start = -(-(place + 110 + length) // 4) * 4
        if name == "TRAILER!!!":
            assert not data[start:].strip(b"\0")
            return
        yield name, fields, data[start : start + size]
        place = -(-(start + size) // 4) * 4


def test_every_kind_of_node_is_read_back() -> None:
    tree = with_parents(
        {
            "bin/again": Node("hardlink", 0o4755, target="bin/su"),
            "bin/su": file(b"y" * 513, 0o4755),
            "dev/null": Node("char", 0o666, device=(1, 3)),
            "dev/vda": Node("block", 0o660, gid=6, device=(254, 16)),
            "empty": file(b""),
            "init": Node("symlink", 0o777, target="usr/lib/systemd/systemd"),
            "pipe": Node("fifo", 0o600),
        },
        mtime=7,
    )
    found = {
        name: (fields, content)
        for name, fields, content in members(b"".join(write_cpio(tree, read)))
    }
    assert list(found) == list(tree)
    kinds = {name: stat.filemode(fields[1]) for name, (fields, _) in found.items()}
    assert kinds == {
        "bin": "drwxr-xr-x",
        "bin/again": "-rwsr-xr-x",
        "bin/su": "-rwsr-xr-x",
        "dev": "drwxr-xr-x",
        "dev/null": "crw-rw-rw-",
        "dev/vda": "brw-rw----",
        "empty": "-rw-r--r--",
        "init": "lrwxrwxrwx",
        "pipe": "prw-------",
    }
    assert found["bin/again"][1] == found["bin/su"][1] == b"y" * 513
    assert found["init"][1] == b"usr/lib/systemd/systemd"
    assert (found["dev/vda"][0][3], found["dev/vda"][0][9:11]) == (6, [254, 16])
    assert (found["bin/su"][0][5], found["bin"][0][5]) == (9, 7)


def test_every_inode_is_its_own() -> None:
    tree = Tree({name: file() for name in "abc"})
    inodes = [fields[0] for _, fields, _ in members(b"".join(write_cpio(tree, read)))]
    assert inodes == [1, 2, 3]


def test_the_root_is_left_out() -> None:
    data = b"".join(write_cpio(Tree({"": Node("dir", 0o755), "a": file()}), read))
    assert [name for name, _, _ in members(data)] == ["a"]


def test_a_time_that_the_header_cannot_say_is_the_nearest_that_it_can() -> None:
    tree = Tree({"late": Node("dir", 0o755, mtime=1 << 40), "old": Node("dir", 0o755, mtime=-1)})
    times = [fields[5] for _, fields, _ in members(b"".join(write_cpio(tree, read)))]
    assert times == [0xFFFFFFFF, 0]


def test_a_file_of_more_than_4_gib_is_refused() -> None:
    tree = Tree({"big": Node("file", 0o644, size=1 << 32, digest=digest_bytes(b"x"))})
    with pytest.raises(TreeError, match="cannot write `/big` into a cpio archive"):
        list(write_cpio(tree, read))
