"""How store paths are compressed for a cache, as its address says."""

from pathlib import Path

import pytest

from osloom.api.nix_cache import _compression
from osloom.base.errors import UsageError
from osloom.fetch.storage.location import parse_location


def test_method_and_level_are_parameters_of_the_address() -> None:
    address = "https://cache.example.com?compression=xz&compression-level=9"
    assert _compression(parse_location(address, Path())) == ("xz", 9)
    assert _compression(parse_location("https://cache.example.com", Path())) == ("zstd", None)


@pytest.mark.parametrize("level", ["²", "-1", "best", "9" * 5000])
def test_a_level_that_is_no_number_is_an_error(level: str) -> None:
    address = f"https://cache.example.com?compression-level={level}"
    with pytest.raises(UsageError) as caught:
        _compression(parse_location(address, Path()))
    assert caught.value.message == f"cannot compress at the level `{level}`: it is no number"
