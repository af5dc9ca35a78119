"""The trees of a btrfs that say where everything is, and the superblocks; see assemble.btrfs."""

import uuid
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from osloom.assemble.place import Put
from osloom.base.digest import derive_uuid
from osloom.model import btrfs
from osloom.model.btrfs import Chunk, Item, Key, Levels, Volume

_MIB = 1 << 20
_SYSTEM = Chunk(btrfs.SYSTEM | btrfs.DUP, _MIB, 8 * _MIB, (_MIB, 9 * _MIB))
FIRST_DATA = 17 * _MIB
"""Where the first chunk with contents begins."""
_METADATA = (
    btrfs.FS_TREE,
    btrfs.CSUM_TREE,
    btrfs.UUID_TREE,
    btrfs.DATA_RELOC_TREE,
    btrfs.DEV_TREE,
    btrfs.FREE_SPACE_TREE,
    btrfs.EXTENT_TREE,
    btrfs.ROOT_TREE,
)
"""The trees in the metadata chunk, in the order of their blocks."""

Ranges = Sequence[tuple[int, int]]
"""Starts and ends, in order."""
Places = Mapping[int, Sequence[Sequence[int]]]
"""By tree and level the addresses of its blocks."""


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What the file system holds."""

    files: Sequence[Item]
    checksums: Sequence[Item]
    backrefs: Sequence[Item]
    """The extents of contents."""
    chunks: Sequence[Chunk]
    """With contents."""
    used: Ranges
    """In those chunks."""


class _Layout(msgspec.Struct, frozen=True):
    """Where all chunks and blocks lie."""

    chunks: tuple[Chunk, ...]
    places: Places
    used: Ranges
    """In all chunks."""


def mirrors(start: int, end: int) -> Iterator[tuple[int, int]]:
    """The superblocks in a range of the device, as whole stripes that nothing else may lie in."""
    for place in btrfs.MIRRORS:
        if start <= place < end:
            yield place, place + btrfs.STRIPE


def _end(chunk: Chunk) -> int:
    return chunk.start + chunk.length


class Writer:
    """Writes all that is not contents into a file system of `size` bytes."""

    def __init__(self, size: int, identity: uuid.UUID, epoch: int, *, zstd: bool) -> None:
        chunks, device, files = (
            derive_uuid("btrfs", name, str(identity)).bytes
            for name in ("chunks", "device", "files")
        )
        self._volume = Volume(identity.bytes, chunks, device)
        self._files = files
        self._size, self._epoch, self._zstd = size, epoch, zstd

    def write(self, put: Put, held: Held) -> bool:
        """False when the file system is too small for it."""
        layout, trees = self._lay_out(held)
        if max(place + one.length for one in layout.chunks for place in one.stripes) > self._size:
            return False
        for tree, levels in trees.items():
            home = layout.chunks[0 if tree == btrfs.CHUNK_TREE else -1]
            for place, block in btrfs.blocks(levels, layout.places[tree], tree, self._volume):
                for stripe in home.stripes:
                    put(place - home.start + stripe, block)
        self._write_superblocks(put, layout, trees)
        return True

    def _lay_out(self, held: Held) -> tuple[_Layout, dict[int, Levels]]:
        """Trees have items for blocks, their own among them: try until the sizes are right.

        From the fewest blocks on they only grow, and by less each time.
        """
        trees = {
            btrfs.FS_TREE: btrfs.levels(held.files),
            btrfs.CSUM_TREE: btrfs.levels(held.checksums),
            btrfs.UUID_TREE: btrfs.levels([self._uuid_item()]),
            btrfs.DATA_RELOC_TREE: btrfs.levels(self._directory(btrfs.FIRST_INODE)),
        }
        changing = {*_METADATA, btrfs.CHUNK_TREE} - trees.keys()
        trees |= {tree: btrfs.levels([]) for tree in changing}
        while True:
            layout = _place(trees, held)
            made = trees | self._describe(layout, trees, held)
            if _shape(made) == _shape(trees):
                return layout, made
            trees = made

    def _describe(
        self, layout: _Layout, trees: Mapping[int, Levels], held: Held
    ) -> dict[int, Levels]:
        """The trees that depend on where everything lies."""
        return {
            btrfs.CHUNK_TREE: btrfs.levels(self._chunk_items(layout.chunks)),
            btrfs.DEV_TREE: btrfs.levels(self._device_items(layout.chunks)),
            btrfs.FREE_SPACE_TREE: btrfs.levels(_free_items(layout)),
            btrfs.EXTENT_TREE: btrfs.levels(_extent_items(layout, held.backrefs)),
            btrfs.ROOT_TREE: btrfs.levels(self._root_items(layout, trees)),
        }

    def _uuid_item(self) -> Item:
        first, second = (int.from_bytes(half, "little") for half in _halves(self._files))
        return Item(Key(first, btrfs.UUID_SUBVOLUME, second), btrfs.FS_TREE.to_bytes(8, "little"))

    def _directory(self, number: int) -> list[Item]:
        """An empty one that is its own parent."""
        own = btrfs.inode(mode=0o40755, time=self._epoch, held=btrfs.NODE)
        above = btrfs.reference(0, b"..")
        return [
            Item(Key(number, btrfs.INODE_ITEM, 0), own),
            Item(Key(number, btrfs.INODE_REF, number), above),
        ]

    def _device_items(self, chunks: Sequence[Chunk]) -> list[Item]:
        return sorted(
            Item(Key(btrfs.DEVICE, btrfs.DEV_EXTENT, place), btrfs.device_extent(one, self._volume))
            for one in chunks
            for place in one.stripes
        )

    def _device(self, chunks: Sequence[Chunk]) -> bytes:
        used = sum(one.length * len(one.stripes) for one in chunks)
        return btrfs.device(size=self._size, used=used, volume=self._volume)

    def _chunk_items(self, chunks: Sequence[Chunk]) -> list[Item]:
        own = Item(Key(btrfs.DEVICE, btrfs.DEV_ITEM, btrfs.DEVICE), self._device(chunks))
        return [own, *(self._chunk_item(one) for one in chunks)]

    def _chunk_item(self, one: Chunk) -> Item:
        key = Key(btrfs.FIRST_CHUNK, btrfs.CHUNK_ITEM, one.start)
        return Item(key, btrfs.chunk(one, self._volume))

    def _root_items(self, layout: _Layout, trees: Mapping[int, Levels]) -> list[Item]:
        items = [
            Item(Key(tree, btrfs.ROOT_ITEM, 0), self._root(tree, layout, trees[tree]))
            for tree in _METADATA
            if tree != btrfs.ROOT_TREE
        ]
        # The subvolume that is mounted when none is asked for.
        name, target = b"default", Key(btrfs.FS_TREE, btrfs.ROOT_ITEM, 2**64 - 1)
        items += self._directory(btrfs.ROOT_DIR)
        entry = btrfs.entry(target, name, btrfs.DIRECTORY)
        items.append(Item(Key(btrfs.ROOT_DIR, btrfs.DIR_ITEM, btrfs.name_hash(name)), entry))
        back = Key(btrfs.FS_TREE, btrfs.INODE_REF, btrfs.ROOT_DIR)
        items.append(Item(back, btrfs.reference(0, name)))
        return sorted(items)

    def _root(self, tree: int, layout: _Layout, levels: Levels) -> bytes:
        place = btrfs.Root(layout.places[tree][-1][0], len(levels) - 1, btrfs.count(levels))
        match tree:
            case btrfs.FS_TREE:
                return btrfs.root(place, btrfs.FIRST_INODE, uuid=self._files, time=self._epoch)
            case btrfs.DATA_RELOC_TREE:
                return btrfs.root(place, btrfs.FIRST_INODE)
            case _:
                return btrfs.root(place)

    def _write_superblocks(self, put: Put, layout: _Layout, trees: Mapping[int, Levels]) -> None:
        system = self._chunk_item(_SYSTEM)
        one = btrfs.Super(
            size=self._size,
            used=sum(end - start for start, end in layout.used),
            root=layout.places[btrfs.ROOT_TREE][-1][0],
            root_level=len(trees[btrfs.ROOT_TREE]) - 1,
            chunks=layout.places[btrfs.CHUNK_TREE][-1][0],
            chunks_level=len(trees[btrfs.CHUNK_TREE]) - 1,
            label=b"root",
            device=self._device(layout.chunks),
            system=system,
            zstd=self._zstd,
        )
        for place in btrfs.MIRRORS:
            if place + btrfs.SUPER <= self._size:
                put(place, btrfs.superblock(place, one, self._volume))


def _halves(value: bytes) -> tuple[bytes, bytes]:
    return value[:8], value[8:]


def _shape(trees: Mapping[int, Levels]) -> dict[int, list[int]]:
    return {tree: [len(level) for level in levels] for tree, levels in trees.items()}


def _place(trees: Mapping[int, Levels], held: Held) -> _Layout:
    """The chunks, and an address for each block of each tree."""
    blocks = sum(btrfs.count(trees[tree]) for tree in _METADATA)
    # A quarter more, so that the first changes of a running system find room.
    length = -(-(blocks * btrfs.NODE * 5 // 4 + 8 * _MIB) // _MIB) * _MIB
    start = _end(held.chunks[-1]) if held.chunks else FIRST_DATA
    metadata = Chunk(btrfs.METADATA | btrfs.DUP, start, length, (start, start + length))
    places = {}
    for home, names in ((_SYSTEM, (btrfs.CHUNK_TREE,)), (metadata, _METADATA)):
        free = block_places(home)
        for tree in names:
            places[tree] = [[next(free) for _ in level] for level in trees[tree]]
    all_blocks = [
        (place, place + btrfs.NODE)
        for levels in places.values()
        for level in levels
        for place in level
    ]
    return _Layout((_SYSTEM, *held.chunks, metadata), places, sorted([*all_blocks, *held.used]))


def block_places(chunk: Chunk) -> Iterator[int]:
    """Every address in a chunk at which no copy of the block meets a superblock."""
    taken = [
        (start - stripe + chunk.start, end - stripe + chunk.start)
        for stripe in chunk.stripes
        for start, end in mirrors(stripe, stripe + chunk.length)
    ]
    for place in range(chunk.start, _end(chunk), btrfs.NODE):
        if all(place + btrfs.NODE <= start or end <= place for start, end in taken):
            yield place


def _by_chunk(layout: _Layout) -> Iterator[tuple[Chunk, list[tuple[int, int]]]]:
    """The chunks, each with what is used in it."""
    ranges = iter([*layout.used, (2**64, 2**64)])
    current = next(ranges)
    for chunk in layout.chunks:
        found = []
        while current[0] < _end(chunk):
            found.append(current)
            current = next(ranges)
        yield chunk, found


def _free_items(layout: _Layout) -> list[Item]:
    items = []
    for chunk, used in _by_chunk(layout):
        edges = [chunk.start, *(edge for pair in used for edge in pair), _end(chunk)]
        gaps = zip(edges[::2], edges[1::2], strict=True)
        free = [
            Item(Key(start, btrfs.FREE_SPACE_EXTENT, end - start), b"")
            for start, end in gaps
            if start < end
        ]
        info = btrfs.free_space(len(free))
        # A free extent at the chunk's start has the larger type, and so comes after.
        items += [Item(Key(chunk.start, btrfs.FREE_SPACE_INFO, chunk.length), info), *free]
    return items


def _extent_items(layout: _Layout, backrefs: Sequence[Item]) -> list[Item]:
    items = list(backrefs)
    for tree, levels in layout.places.items():
        backref = btrfs.block_backref(tree)
        items += [
            Item(Key(place, btrfs.METADATA_ITEM, level), backref)
            for level, places in enumerate(levels)
            for place in places
        ]
    for chunk, used in _by_chunk(layout):
        group = btrfs.block_group(chunk, sum(end - start for start, end in used))
        items.append(Item(Key(chunk.start, btrfs.BLOCK_GROUP_ITEM, chunk.length), group))
    return sorted(items)
