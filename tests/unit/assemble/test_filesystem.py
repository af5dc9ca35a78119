"""Sizes of root file systems."""

import pytest

from osloom.assemble.filesystem import default_size, needed_size
from osloom.assemble.uki import command_line
from osloom.model.size import parse_size
from osloom.model.tree import Node, Tree


@pytest.mark.parametrize(
    ("text", "size"), [("1000", 1000), ("4K", 4096), ("512M", 512 << 20), ("2G", 2 << 30)]
)
def test_sizes_are_in_powers_of_1024(text: str, size: int) -> None:
    assert parse_size(text) == size


def test_a_file_takes_whole_blocks_and_a_hard_link_none() -> None:
    one = Tree({"a": Node("file", 0o644, size=4097)})
    two = Tree({**one, "b": Node("hardlink", 0o644, target="a")})
    assert needed_size(one) == 2 * 4096 + 256
    assert needed_size(two) == 2 * 4096 + 512


def test_the_default_leaves_room_and_is_whole_mebibytes() -> None:
    tree = Tree({"a": Node("file", 0o644, size=500 << 20)})
    assert default_size(tree) % (1 << 20) == 0
    assert default_size(tree) > needed_size(tree) * 1.2


def test_messages_go_to_the_screen_and_to_the_serial_line() -> None:
    line = command_line(root="1-2", writable=True, console="ttyS0", extra=["quiet"])
    assert line == "root=PARTUUID=1-2 rw console=tty0 console=ttyS0 quiet"


def test_a_read_only_system_writes_into_memory() -> None:
    line = command_line(root="1-2", writable=False, console="ttyS0", extra=[])
    assert line == "root=PARTUUID=1-2 ro systemd.volatile=overlay console=tty0 console=ttyS0"
