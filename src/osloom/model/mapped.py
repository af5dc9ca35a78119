"""What of a disk matters: the rest may stay on a device as it is there.

This follows from what the disk holds, not from where its file has holes: those are others on
another file system. What is merely zero is not left out, since a device holds something there.
"""

import struct
from collections.abc import Iterator

from osloom.base.errors import Error
from osloom.model.blocks import Blocks
from osloom.model.bmap import Range
from osloom.model.fat import Fat
from osloom.model.gpt import EMPTY, Partition, parse_gpt
from osloom.model.verity_check import hashes_size

_EROFS = (1024, 0xE0F5E1E2)


def mapped_ranges(disk: Blocks) -> tuple[Range, ...]:
    """Both copies of the table, and of each partition what its content needs; sorted.

    Of a FAT file system its tables and what files have, of erofs and of dm-verity's hashes as much
    as they say they have, of an empty slot nothing, and of anything else all. Raises Error as
    `parse_gpt`.
    """
    table = parse_gpt(disk)
    found = [Range(0, table.usable.start), Range(table.usable.stop, disk.size)]
    for one in table.partitions:
        content = disk.window(one.offset, one.size)
        found += [Range(one.offset + a, one.offset + b) for a, b in _of_partition(one, content)]
    return tuple(sorted(found))


def _of_partition(partition: Partition, content: Blocks) -> Iterator[tuple[int, int]]:
    if partition.label == EMPTY:
        return
    try:
        if partition.type == "esp":
            yield from Fat(content).used()
        elif partition.type.endswith("-verity"):
            yield 0, hashes_size(content)
        elif (size := _erofs_size(content)) is not None:
            yield 0, size
        else:
            yield 0, partition.size
    except Error:
        yield 0, partition.size


def _erofs_size(content: Blocks) -> int | None:
    """By the superblock, the kernel's fs/erofs/erofs_fs.h; None where there is none."""
    magic, block_bits, blocks = struct.unpack_from("<I8xB23xI", content.read(_EROFS[0], 40))
    size: int = blocks << block_bits
    return size if magic == _EROFS[1] and 0 < size <= content.size else None
