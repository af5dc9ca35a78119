"""The tar and cpio writers, read back by others."""

import io
import tarfile

from hypothesis import given, settings
from hypothesis import strategies as st

from osloom.base.digest import Digest, digest_bytes
from osloom.model.cpio import write_cpio
from osloom.model.tar import write_tar
from osloom.model.tree import Node, Tree, decode, encode, with_parents

CONTENT = {digest_bytes(data): data for data in (b"", b"x", b"y" * 513)}
LONG = "d/" + "n" * 90 + "/" + "m" * 120


def read(digest: Digest) -> list[bytes]:
    return [CONTENT[digest]]


def file(data: bytes = b"x", **fields: int) -> Node:
    return Node("file", 0o644, size=len(data), digest=digest_bytes(data), **fields)


TREE = with_parents(
    {
        "bin/sh": Node("file", 0o4755, size=513, digest=digest_bytes(b"y" * 513), mtime=5),
        "bin/again": Node("hardlink", 0o755, target="bin/sh"),
        "dev/null": Node("char", 0o666, device=(1, 3)),
        "etc/link": Node("symlink", 0o777, target="/" + "t" * 150),
        "huge-ids": file(uid=5_000_000, gid=6_000_000),
        LONG: file(b""),
        "pipe": Node("fifo", 0o600),
        "ping": Node("file", 0o755, size=1, digest=digest_bytes(b"x"), xattrs=(("user.a", b"v"),)),
        "ünï": file(),
    },
    mtime=7,
)


def test_python_reads_back_every_member() -> None:
    data = b"".join(write_tar(TREE, read))
    assert len(data) % 10240 == 0
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        members = {member.name: member for member in archive}
        assert sorted(members) == list(TREE)
        assert list(members)[-1] == "bin/again"
        for path, node in TREE.items():
            member = members[path]
            assert (member.mode, member.uid, member.gid, member.mtime) == (
                node.mode,
                node.uid,
                node.gid,
                node.mtime,
            )
            if node.kind == "file" and node.digest is not None:
                content = archive.extractfile(member)
                assert content is not None
                assert content.read() == CONTENT[node.digest]
        assert members["etc/link"].linkname == "/" + "t" * 150
        assert members["bin/again"].linkname == "bin/sh"
        assert (members["dev/null"].devmajor, members["dev/null"].devminor) == (1, 3)
        assert members["ping"].pax_headers["SCHILY.xattr.user.a"] == "v"


@settings(max_examples=100)
@given(
    st.dictionaries(
        st.text("abcé ", min_size=1, max_size=120).filter(lambda name: name.strip(".")),
        st.integers(0, 0o7777),
        max_size=8,
    )
)
def test_any_name_and_mode_survive(modes: dict[str, int]) -> None:
    tree = Tree((name, Node("dir", mode)) for name, mode in modes.items())
    with tarfile.open(fileobj=io.BytesIO(b"".join(write_tar(tree, read)))) as archive:
        assert {member.name: member.mode for member in archive} == modes
    assert decode(encode(tree)) == tree


def test_a_cpio_archive_begins_with_its_magic_and_ends_with_a_trailer() -> None:
    data = b"".join(write_cpio(Tree({"a": file()}), read))
    assert data[:6] == b"070701"
    assert len(data) % 4 == 0
    assert b"TRAILER!!!" in data


def test_a_hard_link_outlives_the_name_that_it_repeated() -> None:
    tree = Tree(
        {
            "a": file(),
            "b": Node("hardlink", 0o644, target="a"),
            "c": Node("hardlink", 0o644, target="a"),
        }
    )
    kept = {"b": file(), "c": Node("hardlink", 0o644, target="b")}
    assert tree.without(["a"]) == Tree(kept)
    assert tree.overlaid(Tree({"a": file(b"")})) == Tree({"a": file(b""), **kept})


def test_long_targets_of_any_bytes_are_said_to_be_no_text() -> None:
    targets = ["x" * 120 + "\udce9", "é" * 80, "caf\udce9"]
    tree = Tree({f"link{n}": Node("symlink", 0o777, target=one) for n, one in enumerate(targets)})
    data = b"".join(write_tar(tree, read))
    with tarfile.open(fileobj=io.BytesIO(data), errors="surrogateescape") as archive:
        assert [one.linkname for one in archive] == targets
    # mke2fs would stop at the first without it, and what is UTF-8 has no need of it.
    assert data.count(b"hdrcharset=BINARY") == 1
