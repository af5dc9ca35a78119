"""A btrfs file system from a tree, written block by block.

mkfs.btrfs(8) takes only a directory: what it makes has that directory's order, needs its owners
and attributes to be real, and holds times and random ids. So the blocks are made here, each of them
once and in order; nothing is mounted, and nothing needs a privilege.

On the device, where logical addresses are those of the first copy:

    1 MiB     the chunk tree, twice
    17 MiB    contents of files, in chunks of at most 1 GiB
    then      all other trees, twice
    the rest  no one's, for the kernel to make chunks of
"""

import uuid
from collections.abc import Callable, Iterator

from osloom.assemble.btrfs_files import Extent, Files
from osloom.assemble.btrfs_trees import FIRST_DATA, Held, Writer, mirrors
from osloom.assemble.place import Place, Put
from osloom.base.errors import BuildError
from osloom.engine.step import Job
from osloom.model import btrfs
from osloom.model.btrfs import Chunk, Item, Key
from osloom.model.tree import Tree

_MIB = 1 << 20
MINIMUM = 256 * _MIB
"""Bytes with which even a small file system leaves the kernel room to work."""
ROOM = 1500
"""Bytes that one path takes in the trees, which are there twice, with their own room to grow."""
_CHUNK = 1 << 30
_PIECE = 16 * _MIB
_COMPRESSED_PIECE = 128 << 10
"""The kernel reads what is compressed as a whole, and so allows no more."""
_ZSTD = 3
_SUMS = 500
"""Checksums that fit into an item, which has to fit into a block."""

Compress = Callable[[bytes], bytes]


def write_btrfs(
    job: Job, tree: Tree, place: Place, identity: uuid.UUID, compress: Compress | None = None
) -> None:
    """Make `place`, which is empty, a btrfs that holds `tree`; `identity` is its UUID.

    `compress` makes a frame of zstd of up to 128 KiB. Of the job's parameters `epoch` counts.
    """
    size = place.size - place.size % btrfs.SECTOR
    epoch = job.parameters["epoch"]
    with place.writing() as put:
        contents = _Contents(put, size, compress)
        files = Files(tree, job.store.blobs, contents, epoch=epoch).items()
        writer = Writer(size, identity, epoch, zstd=compress is not None)
        held = Held(
            files=files,
            checksums=contents.checksums,
            backrefs=contents.backrefs,
            chunks=contents.space.chunks(),
            used=contents.space.used,
        )
        if not writer.write(put, held):
            raise _too_small(size)


def _too_small(size: int) -> BuildError:
    return BuildError(
        f"cannot fit the root file system into {size // _MIB} MiB",
        hint="raise `size` in the table `disk`, or leave it out",
    )


class _Space:
    """Gives out the device's bytes from the front."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._next = FIRST_DATA
        self.used: list[tuple[int, int]] = []
        """Starts and ends of what was given."""

    def take(self, size: int, *, whole: bool) -> tuple[int, int]:
        """Where the next `size` bytes lie, or unless they must be whole, as many as there fit."""
        while (room := self._limit() - self._next) < (size if whole else 1):
            limit = self._limit()
            self._next = max([limit, *(end for _, end in mirrors(limit, limit + 1))])
        start, got = self._next, min(size, room)
        self._next += got
        if self._next > self._size:
            raise _too_small(self._size)
        self.used.append((start, start + got))
        return start, got

    def _limit(self) -> int:
        """The end of the free range in which the next byte is."""
        end = FIRST_DATA + ((self._next - FIRST_DATA) // _CHUNK + 1) * _CHUNK
        return min([end, *(start for start, _ in mirrors(self._next, end))])

    def chunks(self) -> list[Chunk]:
        end = FIRST_DATA + -(-(self._next - FIRST_DATA) // _MIB) * _MIB
        return [
            Chunk(btrfs.DATA, start, min(_CHUNK, end - start), (start,))
            for start in range(FIRST_DATA, end, _CHUNK)
        ]


class _Contents:
    """Writes contents of files, and keeps what trees have to say of them."""

    def __init__(self, put: Put, size: int, compress: Compress | None) -> None:
        self._write, self._compress = put, compress
        self.piece = _COMPRESSED_PIECE if compress else _PIECE
        self.space = _Space(size)
        self.checksums: list[Item] = []
        self.backrefs: list[Item] = []

    def put(self, data: bytes, *, inode: int, offset: int) -> Iterator[Extent]:
        """The extents that hold `data`, which is at `offset` of the file `inode`."""
        padded = _padded(data)
        if self._compress:
            packed = _padded(self._compress(data))
            if len(packed) < len(padded):
                start, _ = self.space.take(len(packed), whole=True)
                self._keep(packed, start, inode, offset)
                yield Extent(offset, start, len(packed), len(padded), _ZSTD)
                return
        done = 0
        while done < len(padded):
            start, got = self.space.take(len(padded) - done, whole=False)
            self._keep(padded[done : done + got], start, inode, offset + done)
            yield Extent(offset + done, start, got, got, 0)
            done += got

    def _keep(self, data: bytes, start: int, inode: int, offset: int) -> None:
        self._write(start, data)
        backref = btrfs.data_backref(inode=inode, offset=offset)
        self.backrefs.append(Item(Key(start, btrfs.EXTENT_ITEM, len(data)), backref))
        for place in range(0, len(data), _SUMS * btrfs.SECTOR):
            key = Key(btrfs.EXTENT_CSUM, btrfs.EXTENT_CSUM_ITEM, start + place)
            sums = btrfs.checksums(data[place : place + _SUMS * btrfs.SECTOR])
            self.checksums.append(Item(key, sums))


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % btrfs.SECTOR)
