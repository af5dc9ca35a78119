"""What a run in the sandbox made of a tree."""

import os
from pathlib import Path

import msgspec

from osloom.base.digest import digest_bytes
from osloom.engine.delta import Delta, apply_delta, read_delta, read_stamps
from osloom.model.tree import Node, Tree
from osloom.store.store import Store


def file(text: str, mtime: int, mode: int = 0o755, gid: int = 0) -> Node:
    data = text.encode()
    return Node("file", mode, gid=gid, mtime=mtime, size=len(data), digest=digest_bytes(data))


def test_a_file_that_only_changed_hands_keeps_its_time() -> None:
    base = Tree({"agent": file("agent", 5), "notes": file("old", 5), "gone": file("", 5)})
    changed = Tree({"agent": file("agent", 99, 0o2755, 42), "notes": file("new", 99)})
    assert apply_delta(base, Delta(changed, ("gone",))) == Tree(
        {"agent": file("agent", 5, 0o2755, 42), "notes": file("new", 99)}
    )


def test_what_is_put_back_into_a_directory_made_anew_stays(tmp_path: Path) -> None:
    blobs = Store(tmp_path / "store").blobs
    upper = tmp_path / "upper"
    (upper / "d/sub").mkdir(parents=True)
    (upper / "d").chmod(0o755)
    (upper / "d/sub").chmod(0o755)
    os.setxattr(upper / "d", "user.overlay.opaque", b"y")
    for name in ("d/same", "d/sub/same"):
        (upper / name).write_text("same")
        (upper / name).chmod(0o755)
    own = {"uid": os.getuid(), "gid": os.getgid()}
    base = Tree(
        {
            path: msgspec.structs.replace(node, **own)
            for path, node in {
                "d": Node("dir", 0o755),
                "d/gone": file("gone", 5),
                "d/same": file("same", 5),
                "d/sub": Node("dir", 0o755),
                "d/sub/gone": file("gone", 5),
                "d/sub/same": file("same", 5),
            }.items()
        }
    )
    delta = read_delta(upper, base, blobs, epoch=9)
    assert not delta.changed
    assert sorted(delta.removed) == ["d/gone", "d/sub/gone"]


def test_what_lay_there_before_is_told_when_it_is_touched_or_gone(tmp_path: Path) -> None:
    blobs = Store(tmp_path / "store").blobs
    upper = tmp_path / "upper"
    upper.mkdir()
    own = {"uid": os.getuid(), "gid": os.getgid()}
    names = ("gone", "mode", "same", "text")
    for name in names:
        (upper / name).write_text("text")
        (upper / name).chmod(0o644)
    node = msgspec.structs.replace(file("text", 5, 0o644), **own)
    pipes = {name: Node("fifo", 0o600, mtime=5, **own) for name in ("pipe", "pipe-gone")}
    for name in pipes:
        os.mkfifo(upper / name, 0o600)
    base = Tree({**dict.fromkeys(names, node), **pipes})
    laid = read_stamps(upper)
    (upper / "gone").unlink()
    (upper / "pipe-gone").unlink()
    (upper / "mode").chmod(0o600)
    (upper / "text").write_text("news")
    delta = read_delta(upper, base, blobs, epoch=9, laid=laid)
    assert sorted(delta.removed) == ["gone", "pipe-gone"]
    assert {path: (one.mode, one.digest) for path, one in delta.changed.items()} == {
        "mode": (0o600, node.digest),
        "text": (0o644, digest_bytes(b"news")),
    }
