"""FAT file systems as they are written; tests/integration/test_fat.py has others read them."""

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osloom.base.errors import Error
from osloom.model.blocks import Blocks, blocks_of, with_parts
from osloom.model.fat import Fat
from osloom.model.fat_volume import Volume, lay_out

_MIB = 1 << 20


def written(files: dict[str, bytes], size: int = 40 * _MIB) -> Fat:
    volume = Volume(size=size, label="ESP", serial=0x12345678, epoch=1_700_000_000)
    laid = lay_out(volume, {path: len(content) for path, content in files.items()})
    pieces = dict([*laid.tables, *((place, files[path]) for path, place in laid.places.items())])
    ordered = sorted(pieces)
    for first, second in itertools.pairwise(ordered):
        assert first + len(pieces[first]) <= second
    parts = {place: blocks_of(data) for place, data in pieces.items() if data}
    zeros = Blocks(source=lambda _, count: bytes(count), size=size)
    return Fat(with_parts(zeros, parts))


def read(fat: Fat, path: str) -> bytes:
    found = fat.find(path)
    assert found is not None
    assert not found.is_directory
    return fat.open(found).read(0, found.size)


def test_what_was_written_is_read() -> None:
    files = {
        "EFI/BOOT/BOOTX64.EFI": b"loader" * 900,
        "EFI/Linux/edge-gateway_7.efi": b"kernel" * 20_000,
        "loader/loader.conf": b"timeout 0\n",
        "loader/empty": b"",
        "loader/Grüße aus 東京 🗼.txt": b"names are UTF-16",
    }
    fat = written(files)
    assert {path: read(fat, path) for path in files} == files
    assert [one.name for one in fat.entries("EFI")] == ["BOOT", "Linux"]


def test_names_alike_in_their_first_letters_have_aliases_of_their_own() -> None:
    files = {f"a-long-name-{number}.conf": b"%d" % number for number in range(120)}
    fat = written(files)
    assert {path: read(fat, path) for path in files} == files


def test_free_space_is_what_is_left() -> None:
    empty, one = written({}), written({"file": bytes(5 * _MIB)})
    assert empty.free - one.free == 5 * _MIB
    assert one.size - empty.free == one.cluster_size


@pytest.mark.parametrize("size", [34, 64, 260, 512, 4096])
def test_there_are_enough_clusters_for_fat32(size: int) -> None:
    laid = lay_out(Volume(size=size * _MIB, label="ESP", serial=1, epoch=0), {})
    head = laid.tables[0][1]
    volume = blocks_of(head + bytes(16 * _MIB))
    fat = Fat(volume)
    per_cluster = head[13]
    clusters = (size * _MIB // 512 - 32) // per_cluster
    assert fat.cluster_size == 512 * per_cluster <= 4096
    assert clusters >= 65525


def test_what_is_too_small_or_too_full_is_refused() -> None:
    with pytest.raises(Error, match="cannot make a FAT32 file system of 32 MiB: it needs 33"):
        lay_out(Volume(size=32 * _MIB, label="ESP", serial=1, epoch=0), {})
    with pytest.raises(Error, match="cannot fit 50 MiB into a FAT file system of 39 MiB"):
        lay_out(Volume(size=40 * _MIB, label="ESP", serial=1, epoch=0), {"big": 50 * _MIB})


@pytest.mark.parametrize("name", ["a:b", "x" * 256, "tab\there", "question?", "\uffff"])
def test_names_that_it_cannot_hold_are_refused(name: str) -> None:
    with pytest.raises(Error, match=f"cannot call a file {re.escape(repr(name))}"):
        lay_out(Volume(size=40 * _MIB, label="ESP", serial=1, epoch=0), {name: 1})


_NAMES = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters='"*:<>?\\|/\uffff'),
    min_size=1,
    max_size=30,
).filter(lambda name: name.strip(". ") == name)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.tuples(_NAMES, _NAMES), st.binary(max_size=9000), max_size=12).filter(
        lambda tree: (
            len({tuple(part.lower() for part in path) for path in tree}) == len(tree)
            and len({top.lower() for top, _ in tree}) == len({top for top, _ in tree})
        )
    )
)
def test_any_names_come_back(tree: dict[tuple[str, str], bytes]) -> None:
    files = {"/".join(path): content for path, content in tree.items()}
    fat = written(files, size=34 * _MIB)
    assert {path: read(fat, path) for path in files} == files
