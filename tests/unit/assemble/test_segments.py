"""An initrd in segments."""

from osloom.assemble.segments import ALIGNMENT, joined, split_tree
from osloom.base.digest import digest_bytes
from osloom.model.tree import Node, Tree, with_parents

LARGE = 1 << 20


def file(size: int, name: str) -> Node:
    return Node("file", 0o644, size=size, digest=digest_bytes(name.encode()))


def tree(**changed: Node) -> Tree:
    files = {
        "init": Node("symlink", 0o777, target="usr/lib/systemd/systemd"),
        "usr/bin/cp": file(100, "cp"),
        "usr/bin/mv": file(100, "mv"),
        "usr/lib/a/libc.so.6": file(LARGE, "libc"),
        "usr/lib/a/libm.so.6": file(LARGE, "libm"),
        "usr/lib/a/libz.so.1": file(10, "libz"),
        "usr/lib/modules/6.1/a.ko": file(10, "a"),
        "usr/lib/modules/6.1/kernel/b.ko": file(LARGE, "b"),
        "usr/bin/copy": Node("hardlink", 0, target="usr/bin/cp"),
    }
    return with_parents({**files, **changed}, mtime=0)


def test_all_is_there_once_and_directories_come_first() -> None:
    first, *others = split_tree(tree())
    assert {node.kind for node in first.values()} == {"dir", "symlink"}
    assert [sorted(part) for part in others] == [
        ["usr/bin/copy", "usr/bin/cp", "usr/bin/mv"],
        ["usr/lib/a/libc.so.6"],
        ["usr/lib/a/libm.so.6"],
        ["usr/lib/a/libz.so.1"],
        ["usr/lib/modules/6.1/a.ko", "usr/lib/modules/6.1/kernel/b.ko"],
    ]
    paths = [path for part in (first, *others) for path in part]
    assert sorted(paths) == sorted(tree())
    assert others[0]["usr/bin/copy"].kind == "file"


def test_a_changed_file_changes_one_segment() -> None:
    before, after = split_tree(tree()), split_tree(tree(**{"usr/bin/mv": file(99, "new")}))
    assert [one == other for one, other in zip(before, after, strict=True)].count(False) == 1


def test_segments_begin_at_whole_blocks() -> None:
    segments = [[b"x"], [b"x", bytes(ALIGNMENT - 1)], [b"x" * ALIGNMENT, b"x"]]
    data = b"".join(joined(segments))
    assert len(data) == 4 * ALIGNMENT
    assert [data[place : place + 1] for place in range(0, len(data), ALIGNMENT)] == [b"x"] * 4
