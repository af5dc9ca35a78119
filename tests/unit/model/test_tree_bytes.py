"""Trees as bytes, which stores keep for years."""

import msgspec
import pytest

from osloom.model.tree import MAGIC, Node, Tree, decode, encode


@pytest.mark.parametrize("target", ["a", "é", "\udcff", "é/caf\udce9", "\0", "\0é\udce9"])
@pytest.mark.parametrize("kind", ["symlink", "hardlink"])
def test_any_target_stays_as_it_is(kind: str, target: str) -> None:
    tree = Tree({"link": Node("symlink" if kind == "symlink" else "hardlink", 0, target=target)})
    assert decode(encode(tree)) == tree


def test_what_is_utf_8_is_kept_as_ever() -> None:
    nodes = {"a\udcff": Node("symlink", 0o777, target="é"), "b": Node("dir", 0o755)}
    plain = [(path.encode(errors="surrogateescape"), node) for path, node in nodes.items()]
    assert encode(Tree(nodes)) == MAGIC + msgspec.msgpack.encode(plain)


def test_bytes_are_spelled_out_behind_a_zero() -> None:
    node = Node("symlink", 0o777, target="caf\udce9")
    kept = Node("symlink", 0o777, target="\0café")
    assert encode(Tree({"a": node})) == MAGIC + msgspec.msgpack.encode([(b"a", kept)])
