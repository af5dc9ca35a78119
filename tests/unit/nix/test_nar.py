"""NARs that are right: read into a tree, and written the same again."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from osloom.base.digest import Digest, digest_bytes, digest_part
from osloom.model.nar import write_nar
from osloom.model.nix32 import parse_hash
from osloom.model.tree import Node, Tree, TreeError
from osloom.sources.nix.nar import Read, read_nar
from osloom.store.store import Store
from support.nar import NAME, directory, nar, regular, symlink

ROOT = f"nix/store/{NAME}"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("nar") / "store")


def read(store: Store, data: bytes) -> Read:
    return read_nar(io.BytesIO(data), store.blobs, NAME, limit=len(data))


def written(store: Store, tree: Tree, root: str = ROOT) -> bytes:
    return b"".join(write_nar(tree, root, store.blobs.chunks))


def whole(store: Store, tree: Tree) -> Tree:
    """The same with the digests of the contents themselves."""
    return Tree(
        (path, node if node.digest is None else replace(node, digest=digest_of(store, node.digest)))
        for path, node in tree.items()
    )


def digest_of(store: Store, part: Digest) -> Digest:
    return digest_bytes(store.blobs.read(part))


def file(data: bytes, mode: int = 0o444) -> Node:
    return Node("file", mode, mtime=1, size=len(data), digest=digest_bytes(data))


DIRECTORY = Node("dir", 0o555, mtime=1)


@pytest.mark.parametrize(
    ("node", "digest"),
    [
        (regular(b""), "sha256-d6xi4mKdjkX2JFicDIv5niSzpyI0m/Hnm8GGAIU04kY="),
        (directory(), "sha256-pQpattmS9VmO3ZIQUFn66az8GSmB4IvYhTTCFn6SUmo="),
    ],
)
def test_the_smallest_archives_are_what_nix_makes(store: Store, node: bytes, digest: str) -> None:
    """As `nix hash path` says of an empty file and of an empty directory."""
    assert read(store, nar(node)).nar_hash == parse_hash(digest)


def test_everything_that_a_nar_holds(store: Store) -> None:
    large = b"0123456789abcdef" * (300 << 10)
    archive = nar(
        directory(
            (b"\x0a", regular(b"")),
            (b"a", directory((b"z", regular(b"run", executable=True)))),
            (b"a-b", regular(large)),
            (b"a.b", symlink(b"../\xc3\xa9")),
            (b"b", directory()),
            (b"\xff", regular(b"12345678")),
        )
    )
    found = read(store, archive)
    assert whole(store, found.tree) == Tree(
        {
            ROOT: DIRECTORY,
            f"{ROOT}/\n": file(b""),
            f"{ROOT}/a": DIRECTORY,
            f"{ROOT}/a/z": file(b"run", 0o555),
            f"{ROOT}/a-b": file(large),
            f"{ROOT}/a.b": Node("symlink", 0o777, mtime=1, target="../é"),
            f"{ROOT}/b": DIRECTORY,
            f"{ROOT}/\udcff": file(b"12345678"),
        }
    )
    assert (found.nar_hash, found.nar_size) == (digest_bytes(archive), len(archive))
    assert written(store, found.tree) == archive
    assert found.tree[f"{ROOT}/a/z"].digest == digest_part(
        found.nar_hash, archive.index(b"run\0\0\0\0\0"), 3
    )
    assert store.blobs.read(found.nar_hash) == archive


@pytest.mark.parametrize(
    ("node", "found"),
    [
        (regular(b"x"), file(b"x")),
        (regular(b"x", executable=True), file(b"x", 0o555)),
        (symlink(b"/nix/store"), Node("symlink", 0o777, mtime=1, target="/nix/store")),
        (directory(), DIRECTORY),
    ],
)
def test_a_path_may_be_of_any_kind(store: Store, node: bytes, found: Node) -> None:
    tree = read(store, nar(node)).tree
    assert whole(store, tree) == Tree({ROOT: found})
    assert written(store, tree) == nar(node)


def test_names_that_differ_by_case_are_two(store: Store) -> None:
    archive = nar(directory((b"N", regular(b"1")), (b"n", regular(b"2"))))
    assert whole(store, read(store, archive).tree) == Tree(
        {ROOT: DIRECTORY, f"{ROOT}/N": file(b"1"), f"{ROOT}/n": file(b"2")}
    )


def test_a_stream_may_come_in_small_pieces(store: Store) -> None:
    class Slow(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(size or 0, 7))

    content = bytes(range(256)) * 5000
    archive = nar(directory((b"a", regular(content)), (b"b", symlink(b"a"))))
    found = read_nar(Slow(archive), store.blobs, NAME, limit=len(archive))
    assert written(store, found.tree) == archive
    assert found.nar_hash == digest_bytes(archive)


def test_the_order_is_that_of_bytes_not_of_the_tree(store: Store) -> None:
    names = sorted(["a", "a-", "a/x", "a0", "\udc80", "\U00010000", "é"])
    tree = Tree(
        {"": DIRECTORY, "a": DIRECTORY}
        | {name: Node("symlink", 0o777, target="t") for name in names if name != "a"}
    )
    assert written(store, tree, "") == nar(
        directory(
            (b"a", directory((b"x", symlink(b"t")))),
            (b"a-", symlink(b"t")),
            (b"a0", symlink(b"t")),
            (b"\x80", symlink(b"t")),
            ("é".encode(), symlink(b"t")),
            ("\U00010000".encode(), symlink(b"t")),
        )
    )


def test_a_hard_link_is_written_as_its_file(store: Store) -> None:
    digest = store.blobs.add(b"x")
    tree = Tree(
        {
            "": DIRECTORY,
            "a": Node("file", 0o755, size=1, digest=digest),
            "b": Node("hardlink", 0o755, target="a"),
        }
    )
    same = regular(b"x", executable=True)
    assert written(store, tree, "") == nar(directory((b"a", same), (b"b", same)))


def test_what_no_nar_holds(store: Store) -> None:
    tree = Tree({"": DIRECTORY, "pipe": Node("fifo", 0o644)})
    with pytest.raises(TreeError) as caught:
        written(store, tree, "")
    assert caught.value.message == "cannot write `/pipe` into a NAR: it is a fifo"


Names = st.binary(min_size=1, max_size=12).filter(
    lambda name: name not in (b".", b"..") and not {0, 47} & set(name)
)
Leaves = st.one_of(
    st.builds(regular, st.binary(max_size=40), executable=st.booleans()),
    st.builds(
        lambda text: symlink(text.encode()),
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1),
    ),
)
Nodes = st.recursive(
    Leaves,
    lambda nodes: st.dictionaries(Names, nodes, max_size=6).map(
        lambda entries: directory(*sorted(entries.items()))
    ),
    max_leaves=20,
)


@given(node=Nodes)
def test_what_is_read_is_written_the_same(store: Store, node: bytes) -> None:
    archive = nar(node)
    found = read(store, archive)
    assert written(store, found.tree) == archive
    assert (found.nar_hash, found.nar_size) == (digest_bytes(archive), len(archive))


def test_what_is_read_below_another_root(store: Store) -> None:
    """A tree of many paths has the NAR of each."""
    archives = [nar(regular(b"1")), nar(directory((b"a", regular(b"2"))))]
    names = [NAME, f"{NAME}.drv"]
    trees = [
        read_nar(io.BytesIO(data), store.blobs, name, limit=len(data)).tree
        for name, data in zip(names, archives, strict=True)
    ]
    both = trees[0].overlaid(trees[1])
    for name, archive in zip(names, archives, strict=True):
        assert written(store, both, f"nix/store/{name}") == archive
