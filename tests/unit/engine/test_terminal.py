"""The filter of system calls of programs that have the caller's terminal, run by hand."""

import struct

import pytest

from osloom.engine.terminal import terminal_filter

ALLOW = 0x7FFF0000
X86 = 0xC000003E


def verdict(program: bytes, *, number: int, architecture: int, argument: int) -> int:
    """What the kernel would make of a call; bpf(4)."""
    data = struct.pack("=IIQQQ", number, architecture, 0, 0, argument)
    lines = list(struct.iter_unpack("=HBBI", program))
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


@pytest.mark.parametrize(
    ("number", "architecture", "argument", "expected"),
    [
        (16, X86, 0x5412, 0x50001),
        (16, X86, 0x541C, 0x50001),
        (16, X86, 0x5413, ALLOW),
        (1, X86, 0x5412, ALLOW),
        # The upper half is not read by the kernel either.
        (16, X86, 0xFFFFFFFF00005412, 0x50001),
        (16 | 0x40000000, X86, 0x5412, 0x50001),
        (54, 0x40000003, 0x5412, 0x50026),
    ],
)
def test_only_what_types_on_a_terminal_is_refused(
    number: int, architecture: int, argument: int, expected: int
) -> None:
    found = verdict(
        terminal_filter("x86_64"), number=number, architecture=architecture, argument=argument
    )
    assert found == expected
