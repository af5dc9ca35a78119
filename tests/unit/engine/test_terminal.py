"""The filter of system calls of programs that have the caller's terminal, run by hand."""

import pytest

from osloom.engine.terminal import terminal_filter
from support.bpf import verdict

ALLOW = 0x7FFF0000
X86 = 0xC000003E


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
