"""Which trees are alike, without looking through them: by a sketch of each.

The smallest of the hashes of what a tree holds are a sample of it, and of two trees that share much
they are mostly the same: Broder, On the resemblance and containment of documents (1997).
"""

import heapq
import struct
import zlib

from osloom.model.tree import Tree

_COUNT = 64


def sketch(tree: Tree) -> bytes:
    """Numbers of four bytes, sorted; fewer of a tree that holds less."""
    hashes = {
        zlib.crc32(f"{path}\0{node.digest or node.target}".encode(errors="surrogateescape"))
        for path, node in tree.items()
    }
    return b"".join(struct.pack("<I", one) for one in heapq.nsmallest(_COUNT, hashes))


def likeness(one: bytes, other: bytes) -> float:
    """About how much of both trees they have in common: 0 to 1."""
    first, second = (set(struct.unpack(f"<{len(raw) // 4}I", raw)) for raw in (one, other))
    sample = heapq.nsmallest(_COUNT, first | second)
    return len(first & second & set(sample)) / max(len(sample), 1)
