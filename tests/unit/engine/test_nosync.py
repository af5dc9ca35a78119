"""The filter under which nothing waits for a disk."""

import pytest

from osloom.engine.nosync import sync_filter
from support.bpf import verdict

_ALLOW, _SUCCESS = 0x7FFF0000, 0x00050000


@pytest.mark.parametrize(
    ("machine", "architecture", "fsync", "syncfs", "write"),
    [("x86_64", 0xC000003E, 74, 306, 1), ("aarch64", 0xC00000B7, 82, 267, 64)],
)
def test_syncing_is_done_at_once_and_all_else_as_ever(
    machine: str, architecture: int, fsync: int, syncfs: int, write: int
) -> None:
    filter_ = sync_filter(machine)
    assert verdict(filter_, architecture=architecture, number=fsync) == _SUCCESS
    assert verdict(filter_, architecture=architecture, number=syncfs) == _SUCCESS
    assert verdict(filter_, architecture=architecture, number=write) == _ALLOW
    assert verdict(filter_, architecture=0x40000003, number=fsync) == _ALLOW


def test_an_unknown_machine_syncs() -> None:
    assert verdict(sync_filter("riscv64"), architecture=0xC00000F3, number=82) == _ALLOW
