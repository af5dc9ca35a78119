"""A btrfs file system, as far as it can be judged without btrfs; the rest is in integration."""

import uuid
from pathlib import Path

import pytest
import zstandard

from osloom.assemble.btrfs import write_btrfs
from osloom.assemble.btrfs_trees import block_places
from osloom.base.errors import BuildError
from osloom.engine.step import Job
from osloom.model import btrfs
from osloom.model.tree import Node, Tree
from osloom.store.store import Store
from support.files import empty, everything

IDENTITY = uuid.UUID("01234567-89ab-8def-8123-456789abcdef")
MIB = 1 << 20


def write(
    directory: Path, tree: Tree | None, *, level: int | None = None, size: int = 128 * MIB
) -> Path:
    directory.mkdir(exist_ok=True)
    store = Store(directory / "store")
    job = Job(store=store, parameters={"epoch": 1_700_000_000}, inputs={}, work=directory)
    target = directory / "root"
    compress = zstandard.ZstdCompressor(level=level).compress if level else None
    write_btrfs(job, tree or everything(store.blobs), empty(target, size), IDENTITY, compress)
    return target


@pytest.mark.parametrize("level", [None, 3, 7])
def test_the_bytes_depend_on_the_tree_alone(tmp_path: Path, level: int | None) -> None:
    first = write(tmp_path / "a", None, level=level)
    second = write(tmp_path / "b", None, level=level)
    assert first.read_bytes() == second.read_bytes()
    assert first.stat().st_size == 128 * MIB


def test_both_superblocks_of_its_size_are_there(tmp_path: Path) -> None:
    made = write(tmp_path, None).read_bytes()
    for place in btrfs.MIRRORS[:2]:
        assert made[place + 64 : place + 72] == b"_BHRfS_M"
        assert made[place + 32 : place + 48] == IDENTITY.bytes


def test_contents_go_around_the_second_superblock(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    data = b"x" * (60 * MIB)
    tree = Tree({"x": Node("file", 0o644, size=len(data), digest=store.blobs.add(data))})
    made = write(tmp_path, tree).read_bytes()
    assert made[64 * MIB - 1] == ord("x")
    assert made[64 * MIB + 4096 : 64 * MIB + 65536] == bytes(61440)
    assert made[64 * MIB + 65536] == ord("x")
    assert made.count(b"x" * MIB) >= 58


@pytest.mark.parametrize(
    ("stripes", "gap"), [((60 * MIB, 68 * MIB), 64 * MIB), ((52 * MIB, 60 * MIB), 56 * MIB)]
)
def test_no_copy_of_a_block_meets_a_superblock(stripes: tuple[int, int], gap: int) -> None:
    chunk = btrfs.Chunk(btrfs.METADATA | btrfs.DUP, stripes[0], 8 * MIB, stripes)
    whole = range(stripes[0], stripes[0] + 8 * MIB, btrfs.NODE)
    assert set(whole) - set(block_places(chunk)) == set(range(gap, gap + 65536, btrfs.NODE))


@pytest.mark.parametrize("size", [17 * MIB, 24 * MIB])
def test_too_little_room_is_an_error_that_says_what_to_do(tmp_path: Path, size: int) -> None:
    with pytest.raises(BuildError) as caught:
        write(tmp_path, None, size=size)
    assert str(caught.value) == f"cannot fit the root file system into {size // MIB} MiB"
    assert caught.value.hint == "raise `size` in the table `disk`, or leave it out"
