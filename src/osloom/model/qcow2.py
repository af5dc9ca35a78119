"""Read a qcow2 disk image: QEMU's docs/interop/qcow2.rst, versions 2 and 3.

Only what qemu-img makes unless it is asked for more: no encryption, no external data file, no
extended tables, no snapshots of the machine's state.
"""

import functools
import struct
import zlib
from collections.abc import Callable

import msgspec

from osloom.base.errors import Error
from osloom.model.blocks import Blocks

MAGIC = b"QFI\xfb"

_HEADER = struct.Struct(">4sIQIIQIIQQIIQ")
_MORE = struct.Struct(">QQQII")
_OFFSET = 0x00FFFFFFFFFFFE00
_COMPRESSED = 1 << 62
_ZERO = 1
_DIRTY_OR_TYPE = 0b1 | 0b1000
"""Incompatible features that reading needs nothing for: unclean reference counts, and another
compression, which is looked at."""
_MOST_TABLE = 32 << 20
"""Bytes of the first table; QEMU takes no more."""


class _Image(msgspec.Struct, frozen=True, kw_only=True):
    file: Blocks
    cluster_bits: int
    tables: tuple[int, ...]
    size: int


def open_qcow2(file: Blocks, *, base: Callable[[str], Blocks]) -> Blocks:
    """What a machine sees of the image; `base` opens the file that it has changes to, by its name.

    Raises Error for an image that is broken or of a kind that this does not read.
    """
    image, base_name = _parse_header(file)
    below = base(base_name) if base_name else None
    table_size = 1 << (image.cluster_bits - 3)

    @functools.lru_cache(maxsize=64)
    def table(offset: int) -> tuple[int, ...]:
        return struct.unpack(f">{table_size}Q", file.read(offset, table_size * 8))

    def cluster(number: int) -> tuple[int, int]:
        """Its entry, and where its bytes are in the file."""
        first = image.tables[number // table_size] & _OFFSET
        entry = table(first)[number % table_size] if first else 0
        return entry, entry & _OFFSET

    def read(offset: int, size: int) -> bytes:
        pieces = []
        while size:
            number, within = divmod(offset, 1 << image.cluster_bits)
            part = min(size, (1 << image.cluster_bits) - within)
            entry, place = cluster(number)
            if entry & _COMPRESSED:
                piece = _decompress(image, entry)[within : within + part]
            elif entry & _ZERO:
                piece = bytes(part)
            elif place:
                piece = file.read(place + within, part)
            else:
                piece = _below(below, offset, part)
            pieces.append(piece)
            offset, size = offset + part, size - part
        return b"".join(pieces)

    return Blocks(source=read, size=image.size)


def _parse_header(file: Blocks) -> tuple[_Image, str]:
    words = _HEADER.unpack(file.read(0, _HEADER.size))
    magic, version, base, base_size, bits, size, encrypted, count, start = words[:9]
    if magic != MAGIC or version not in (2, 3):
        raise Error("cannot read the disk: it is no qcow2 image of version 2 or 3")
    if not 9 <= bits <= 21:
        raise Error(f"cannot read the disk: its clusters have 2^{bits} bytes")
    features = _MORE.unpack(file.read(_HEADER.size, _MORE.size))[0] if version == 3 else 0
    kind = file.read(104, 1)[0] if features & 0b1000 else 0
    if encrypted or kind or features & ~_DIRTY_OR_TYPE:
        raise Error(
            "cannot read the disk: it is a qcow2 image of a kind that osloom does not read",
            hint="`qemu-img convert -O raw` makes a plain one of it",
        )
    needed = -(-size // (1 << (2 * bits - 3)))
    if not needed <= count <= _MOST_TABLE // 8 or base_size > 1023:
        raise Error("cannot read the disk: its qcow2 header is broken")
    tables = struct.unpack(f">{count}Q", file.read(start, count * 8))
    name = file.read(base, base_size).decode(errors="replace") if base else ""
    return _Image(file=file, cluster_bits=bits, tables=tables, size=size), name


def _below(base: Blocks | None, offset: int, size: int) -> bytes:
    """What the base has there; nothing behind its end."""
    inside = max(0, min(size, base.size - offset)) if base is not None else 0
    found = base.read(offset, inside) if base is not None and inside else b""
    return found + bytes(size - inside)


def _decompress(image: _Image, entry: int) -> bytes:
    """A cluster that is deflated, without a header."""
    bits = 62 - (image.cluster_bits - 8)
    start = entry & ((1 << bits) - 1)
    sectors = (entry & (_COMPRESSED - 1)) >> bits
    length = (sectors + 1) * 512 - start % 512
    packed = image.file.read(start, min(length, image.file.size - start))
    size = 1 << image.cluster_bits
    try:
        plain = zlib.decompressobj(-12).decompress(packed, size)
    except zlib.error as error:
        raise Error(f"cannot read the disk: a compressed cluster is broken: {error}") from error
    if len(plain) != size:
        raise Error("cannot read the disk: a compressed cluster is broken: it is too short")
    return plain
