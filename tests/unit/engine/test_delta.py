"""What a run in the sandbox made of a tree."""

from osloom.base.digest import digest_bytes
from osloom.engine.delta import Delta, apply_delta
from osloom.model.tree import Node, Tree


def file(text: str, mtime: int, mode: int = 0o755, gid: int = 0) -> Node:
    data = text.encode()
    return Node("file", mode, gid=gid, mtime=mtime, size=len(data), digest=digest_bytes(data))


def test_a_file_that_only_changed_hands_keeps_its_time() -> None:
    base = Tree({"agent": file("agent", 5), "notes": file("old", 5), "gone": file("", 5)})
    changed = Tree({"agent": file("agent", 99, 0o2755, 42), "notes": file("new", 99)})
    assert apply_delta(base, Delta(changed, ("gone",))) == Tree(
        {"agent": file("agent", 5, 0o2755, 42), "notes": file("new", 99)}
    )
