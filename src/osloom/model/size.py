"""Sizes as people write them."""

MIB = 1 << 20
GIB = 1 << 30
_UNITS = {"K": 1 << 10, "M": MIB, "G": 1 << 30, "T": 1 << 40}


def parse_size(text: str) -> int:
    """Bytes of `512M`, `4G`, `1000`."""
    return int(text[:-1]) * _UNITS[text[-1]] if text[-1] in _UNITS else int(text)


def whole_gib(size: int) -> int:
    """`size` bytes, rounded up to whole GiB."""
    return -(-size // GIB) * GIB


def whole_mib(size: int) -> int:
    """`size` bytes, rounded up to whole MiB."""
    return -(-size // MIB) * MIB
