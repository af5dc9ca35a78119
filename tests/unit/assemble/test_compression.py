"""What the compressors are told; what they make of it is in integration."""

import pytest

from osloom.assemble.compression import command


@pytest.mark.parametrize(
    ("method", "level", "words"),
    [
        ("gzip", None, "pigz --no-name --no-time --processes 4 -6 --stdout"),
        ("gzip", 19, "pigz --no-name --no-time --processes 4 -9 --stdout"),
        ("zstd", None, "zstd --quiet --threads=4 -3 --stdout"),
        ("zstd", 19, "zstd --quiet --threads=4 -19 --stdout"),
        ("xz", 19, "xz --threads=+0 --block-size=24MiB --check=crc64 -9 --stdout"),
    ],
)
def test_levels_are_those_that_the_program_has(method: str, level: int | None, words: str) -> None:
    assert command(method, level, threads=4) == words.split()
