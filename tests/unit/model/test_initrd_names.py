"""The reader of others' initrds: archives after archives, each compressed or not."""

import gzip
import io
import lzma
from collections.abc import Callable

import pytest
import zstandard

from osloom.base.digest import digest_bytes
from osloom.base.errors import BuildError
from osloom.model.cpio import write_cpio
from osloom.model.initrd_names import read_initrd_names
from osloom.model.tree import Node, with_parents


def archive(**files: str) -> bytes:
    contents = {digest_bytes(text.encode()): text.encode() for text in files.values()}
    nodes = {
        path.replace("__", "/"): Node(
            "file", 0o644, size=len(text), digest=digest_bytes(text.encode())
        )
        for path, text in files.items()
    }
    return b"".join(write_cpio(with_parents(nodes, mtime=1), lambda one: (contents[one],)))


def names(data: bytes) -> set[str]:
    return {name for name in read_initrd_names(io.BytesIO(data)) if "." in name}


def frames(data: bytes) -> bytes:
    """Two frames of zstd, as osloom's own initrds have several."""
    half = len(data) // 2
    return b"".join(zstandard.compress(one) for one in (data[:half], data[half:]))


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress, zstandard.compress, frames])
def test_microcode_a_system_and_what_was_added_are_read(pack: Callable[[bytes], bytes]) -> None:
    first, middle = archive(**{"a.first": "x"}), archive(**{"b__c.middle": "y" * 100_001})
    data = first + bytes(512) + pack(middle) + bytes(3) + archive(**{"d.last": ""})
    assert names(data) == {"a.first", "b/c.middle", "d.last"}


def test_built_in_modules_are_there() -> None:
    data = archive(**{"lib__modules__6__modules.builtin": "kernel/fs/erofs/erofs.ko\n"})
    assert "lib/modules/6/kernel/fs/erofs/erofs.ko" in names(data)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"BZh9 no", "it is no cpio archive, nor one in gzip, xz or zstd"),
        (archive(**{"a.b": "text"})[:150], "it ends in the middle of a file"),
        (b"070701" + b"zz" * 52, "invalid literal"),
        (zstandard.compress(archive(**{"a.b": "x" * 5000}))[:40], "it ends in the middle"),
        (b"070701" + b"F" * 104, "it has a name that is too long"),
    ],
)
def test_what_is_no_initrd_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(BuildError, match="cannot read the initrd") as caught:
        names(data.ljust(110, b"x") if data.startswith(b"BZ") else data)
    assert said in caught.value.message


def test_a_bomb_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("osloom.model.initrd_names._MOST", 1 << 20)
    with pytest.raises(BuildError, match="unpacks to more"):
        names(zstandard.compress(archive(**{"a.b": "x" * (2 << 20)})))
