"""The kernel's interpreter of filters, for the instructions that osloom's filters use; bpf(4)."""

import struct
from collections.abc import Sequence

from osloom.engine.seccomp import Row, packed


def verdict(filter_: Sequence[Row], *, number: int, architecture: int, argument: int = 0) -> int:
    """What the kernel would make of a call, whose second argument is `argument`."""
    data = struct.pack("=IIQQQ", number, architecture, 0, 0, argument)
    lines = list(struct.iter_unpack("=HBBI", packed(filter_)))
    place = value = 0
    while True:
        code, yes, no, operand = lines[place]
        place += 1
        match code:
            case 0x20:
                (value,) = struct.unpack_from("=I", data, operand)
            case 0x54:
                value &= operand
            case 0x15:
                place += yes if value == operand else no
            case _:
                assert code == 0x06
                return int(operand)
