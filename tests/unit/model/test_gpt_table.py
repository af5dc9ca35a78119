"""Partition tables as osloom writes them; test_gpt of the integration tests has systemd-repart beside."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osloom.base.errors import Error
from osloom.model.blocks import blocks_of, with_parts, zeros
from osloom.model.gpt import TYPES, parse_gpt
from osloom.model.gpt_table import Wanted, lay_out, write_gpt
from osloom.model.size import MIB

_ID = UUID(int=7)
_WANTED = st.builds(
    Wanted,
    type=st.sampled_from(sorted(TYPES.values())),
    label=st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="\0", max_codepoint=0xFFFF),
        max_size=36,
    ),
    id=st.uuids(),
    size=st.integers(1, 1 << 40),
    attributes=st.integers(0, 2**64 - 1),
)


@given(st.lists(_WANTED, max_size=128), st.integers(0, 1 << 40))
def test_what_is_written_is_read(wanted: list[Wanted], more: int) -> None:
    _, least = lay_out(wanted, identity=_ID)
    table, size = lay_out(wanted, identity=_ID, size=least + more)
    assert size % 4096 == 0
    assert least + more <= size < least + more + 4096
    parts = {offset: blocks_of(data) for offset, data in write_gpt(table, size).items()}
    assert parse_gpt(with_parts(zeros(size), parts)) == table
    assert [(one.type, one.label, one.id, one.attributes) for one in table.partitions] == [
        (one.type, one.label, one.id, one.attributes) for one in wanted
    ]
    sizes = [(one.size, one.offset % 4096) for one in table.partitions]
    assert sizes == [(-(-one.size // 4096) * 4096, 0) for one in wanted]


def test_what_does_not_fit_is_refused() -> None:
    wanted = [Wanted(type="esp", label="esp", id=_ID, size=8 * MIB)]
    said = "cannot fit 9 MiB of partitions into a disk of 5 MiB"
    with pytest.raises(Error, match=said):
        lay_out(wanted, identity=_ID, size=5 * MIB)
    long = [Wanted(type="esp", label="x" * 37, id=_ID, size=8 * MIB)]
    with pytest.raises(Error, match="it may have 36 characters"):
        write_gpt(*lay_out(long, identity=_ID))
