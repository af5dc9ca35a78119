"""Layers of base images as they are read: the honest ones whole, the hostile ones not at all."""

import io
import random
import tarfile
from pathlib import Path

import pytest

from osloom.base.digest import Digest, digest_bytes
from osloom.base.errors import BuildError
from osloom.model.tree import Node, Tree
from osloom.sources.oci.layer import read_layer
from osloom.store.store import Store
from support.layer import (
    archive,
    diff_id,
    directory,
    files,
    hard_link,
    member,
    packed,
    symlink,
)

CHAR, BLOCK, FIFO = tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def read(
    store: Store,
    layer: bytes,
    *,
    method: str = "none",
    claimed: Digest | None = None,
    limit: int = 1 << 30,
) -> Tree:
    blob = io.BytesIO(packed(layer, method))
    return read_layer(blob, store.blobs, limit=limit, diff_id=claimed or diff_id(layer))


@pytest.mark.parametrize("method", ["gzip", "zstd", "none"])
def test_everything_that_a_layer_may_hold(store: Store, method: str) -> None:
    large = bytes(5 << 20)
    attributes = {"SCHILY.xattr.security.capability": "\x01\x00\udc80"}
    layer = archive(
        (directory("./"), None),
        (directory("etc", 0o750), None),
        (member("etc/passwd", b"root", mode=0o4755, uid=7, gid=8, mtime=9), b"root"),
        (member("/etc/large", large), large),
        (member("ping", b"p", pax_headers=attributes), b"p"),
        (hard_link("again", "./etc/passwd"), None),
        (symlink("out", "../../etc/shadow"), None),
        (member("dev/null", type=CHAR, mode=0o666, devmajor=1, devminor=3), None),
        (member("pipe", type=FIFO), None),
        (member("etc/.wh.gone", b""), b""),
        (member(".wh..wh..opq", b""), b""),
        (member("name \udcff", b""), b""),
        (directory("etc", 0o700), None),
    )
    empty = Node("file", 0o644, digest=digest_bytes(b""))
    found = read(store, layer, method=method)
    assert found == Tree(
        {
            ".wh..wh..opq": empty,
            "again": Node("hardlink", 0o644, target="etc/passwd"),
            "dev/null": Node("char", 0o666, device=(1, 3)),
            "etc": Node("dir", 0o700),
            "etc/.wh.gone": empty,
            "etc/large": Node("file", 0o644, size=len(large), digest=digest_bytes(large)),
            "etc/passwd": Node("file", 0o4755, 7, 8, 9, 4, digest_bytes(b"root")),
            "name \udcff": empty,
            "out": Node("symlink", 0o777, target="../../etc/shadow"),
            "ping": Node(
                "file",
                0o644,
                size=1,
                digest=digest_bytes(b"p"),
                xattrs=(("security.capability", b"\x01\x00\x80"),),
            ),
            "pipe": Node("fifo", 0o644),
        }
    )
    assert store.blobs.read(digest_bytes(b"root")) == b"root"


def test_a_layer_of_nothing(store: Store) -> None:
    assert read(store, archive()) == Tree()


def test_a_layer_that_is_not_what_the_configuration_says(store: Store) -> None:
    layer, other = files({"a": "1"}), diff_id(files({"a": "2"}))
    with pytest.raises(BuildError) as caught:
        read(store, layer, method="gzip", claimed=other)
    assert caught.value.message == (
        f"it holds {diff_id(layer)}, and the image's configuration says {other}"
    )


def test_what_follows_the_archive_is_part_of_the_layer(store: Store) -> None:
    layer = files({"a": "1"})
    with pytest.raises(BuildError, match="it holds"):
        read(store, layer + bytes(1 << 20), claimed=diff_id(layer))


def _sparse(size: int) -> bytes:
    """A file in GNU's old form that says it has `size` bytes and brings none."""
    info = member("sparse")
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    block[156:157] = tarfile.GNUTYPE_SPARSE
    block[483:495] = b"\x80" + size.to_bytes(11, "big")
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + bytes(1024)


def _headers_without_end() -> bytes:
    """Headers that each belong to the one that follows."""
    block = member("x", type=tarfile.GNUTYPE_LONGNAME, size=1).tobuf(tarfile.GNU_FORMAT)
    return (block + b"y".ljust(512, b"\0")) * 5000


def _huge_header() -> bytes:
    return member("x", type=tarfile.XHDTYPE, size=1 << 30).tobuf(tarfile.GNU_FORMAT)


def _no_header() -> bytes:
    return files({"a": "1"})[:1024] + random.Random(1).randbytes(1024)


HOSTILE = {
    "a name above the root": (files({"a/../../etc/passwd": ""}), "the path `a/../../etc/passwd` leaves the root"),
    "a link above the root": (files({}, hard_link("a", "../b")), "the path `../b` leaves the root"),
    "a file twice": (files({"a": "1", "./a": "2"}), "`/a` is in it twice"),
    "a file and a directory": (files({"a": "1"}, directory("a")), "`/a` is in it twice"),
    "a file that has something below it": (files({"a/b": "1", "a": "2"}), "`/a` is a file in it, and has something below it"),
    "a link where a directory was": (files({"a/b": ""}, symlink("a", "/etc")), "`/a` is a symlink in it, and has something below it"),
    "a whiteout of an overlay": (files({}, member("a", type=CHAR)), "`/a` is the device 0:0, which overlays take for a whiteout"),
    "a link to nothing": (files({}, symlink("a", "")), "the link `/a` leads nowhere"),
    "a kind of its own": (files({}, member("a", type=b"M")), "`/a` is of an unknown kind, b'M'"),
    "a long name": (files({"n" * 300: ""}), f"the path `{'n' * 60}…` has a name that is too long for Linux"),
    "a deep path": (files({"d/" * 3000 + "x": ""}), f"the path `{'d/' * 30}…` is too long for Linux"),
    "an owner beyond all": (files({}, member("a", uid=1 << 40)), f"`/a` belongs to {1 << 40}:0"),
    "a sparse file of an exabyte": (_sparse(1 << 60), f"`/sparse` has {1 << 60} bytes, more than all may have"),
    "a header of a gigabyte": (_huge_header(), f"`x` has a header of {1 << 30} bytes"),
    "a file that is cut off": (files({"a": "1" * 5000})[:1024], None),
    "a header that is cut off": (files({"a": "1"})[:1300], None),
    "headers without end": (_headers_without_end(), None),
    "rubbish in the middle": (_no_header(), "its archive is damaged: invalid header"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_what_no_honest_layer_holds(store: Store, name: str) -> None:
    layer, message = HOSTILE[name]
    with pytest.raises(BuildError) as caught:
        read(store, layer, method="gzip")
    if message is not None:
        assert caught.value.message == message


def test_compression_that_is_damaged(store: Store) -> None:
    layer = files({"a": "1" * 100_000})
    for method in ("gzip", "zstd"):
        blob = packed(layer, method)
        for broken in (blob[:-20], blob[:40] + bytes(20) + blob[60:]):
            with pytest.raises(BuildError):
                read_layer(io.BytesIO(broken), store.blobs, limit=1 << 30, diff_id=diff_id(layer))


@pytest.mark.parametrize("layer", [files({"a": "0" * 200_000}), files({"a": ""}) + bytes(200_000)])
def test_a_layer_that_unpacks_to_more_than_it_may(store: Store, layer: bytes) -> None:
    with pytest.raises(BuildError) as caught:
        read(store, layer, method="zstd", limit=100_000)
    assert caught.value.message in (
        "it unpacks to more than 100000 bytes, out of all proportion to its size",
        "`/a` has 200000 bytes, more than all may have",
    )
