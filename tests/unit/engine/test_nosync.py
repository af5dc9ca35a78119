import struct

import pytest

from osloom.engine.nosync import program

_ALLOW, _SAY_OK = 0x7FFF0000, 0x00050000


def verdict(filter_: bytes, architecture: int, number: int) -> int:
    """What the kernel's interpreter comes to, for the instructions that the filter uses."""
    rows = list(struct.iter_unpack("=HBBI", filter_))
    loaded, place = 0, 0
    while True:
        code, then, otherwise, value = rows[place]
        place += 1
        if code == 0x06:
            return int(value)
        if code == 0x20:
            loaded = {0: number, 4: architecture}[value]
        else:
            assert code == 0x15
            place += then if loaded == value else otherwise


@pytest.mark.parametrize(
    ("machine", "architecture", "fsync", "syncfs", "write"),
    [("x86_64", 0xC000003E, 74, 306, 1), ("aarch64", 0xC00000B7, 82, 267, 64)],
)
def test_syncing_is_done_at_once_and_all_else_as_ever(
    machine: str, architecture: int, fsync: int, syncfs: int, write: int
) -> None:
    filter_ = program(machine)
    assert verdict(filter_, architecture, fsync) == _SAY_OK
    assert verdict(filter_, architecture, syncfs) == _SAY_OK
    assert verdict(filter_, architecture, write) == _ALLOW
    assert verdict(filter_, 0x40000003, fsync) == _ALLOW


def test_an_unknown_machine_syncs() -> None:
    assert verdict(program("riscv64"), 0xC00000F3, 82) == _ALLOW
