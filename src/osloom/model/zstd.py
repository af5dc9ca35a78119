"""Zeros as a zstd frame, RFC 8878: what a program needs a second for is a table of four bytes.

Frames one after the other are one file to whoever unpacks them, section 3.1.
"""

import struct

_MAGIC = 0xFD2FB528
_SIZE_OF_8_BYTES = 0b11 << 6
"""Frame header descriptor: the content's size follows; no checksum, no dictionary."""
_WINDOW_128_KIB = 7 << 3
_RLE = 1 << 1
_LAST = 1
_BLOCK = 128 << 10
"""As much as a block may say it repeats: the window's size, and never more."""


def frame_of_zeros(count: int) -> bytes:
    """A frame of `count` zero bytes, at least one."""
    assert count > 0
    header = struct.pack("<IBBQ", _MAGIC, _SIZE_OF_8_BYTES, _WINDOW_128_KIB, count)
    whole, rest = divmod(count - 1, _BLOCK)
    last = _block(rest + 1, _LAST)
    return header + _block(_BLOCK, 0) * whole + last


def _block(size: int, last: int) -> bytes:
    """`size` times the byte that follows the header, section 3.1.1.2."""
    return struct.pack("<I", size << 3 | _RLE | last)[:3] + b"\0"
