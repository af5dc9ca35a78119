"""What of a cache's narinfo counts beside the lock."""

from pathlib import Path

import msgspec
import pytest

from osloom.base.errors import FetchError
from osloom.fetch.storage.directory import Directory
from osloom.model.store_path import hash_part, make_fixed_path
from osloom.sources.nix.cache import BinaryCache, CacheSource
from osloom.sources.nix.narinfo import NarInfo, format_narinfo
from support.nar import nar, regular, store_path

ARCHIVE = nar(regular(b"text"))
ADDRESS = "text:sha256:982d9e3eb996f559e633f4d194def3761d909f5a3b647d1a851fead67c32c9d1"


PATH = store_path(make_fixed_path("x", ADDRESS), ARCHIVE, content_address=ADDRESS)


def cache_with(directory: Path, *, url: str) -> BinaryCache:
    """A cache in `directory` that tells of PATH, whose archive it says is at `url`."""
    info = NarInfo(
        name=PATH.name,
        url=url,
        nar_hash=PATH.nar_hash,
        nar_size=PATH.nar_size,
        content_address=ADDRESS,
    )
    (directory / "nix-cache-info").write_text("StoreDir: /nix/store\n")
    (directory / f"{hash_part(PATH.name)}.narinfo").write_text(format_narinfo(info))
    return BinaryCache(CacheSource(url="file:///cache", keys=()), Directory(directory))


def test_only_the_content_address_of_the_lock_takes_the_place_of_a_signature(
    tmp_path: Path,
) -> None:
    cache = cache_with(tmp_path, url="nar/x.nar")
    assert cache.find(PATH).content_address == ADDRESS
    unaddressed = msgspec.structs.replace(PATH, content_address=None)
    with pytest.raises(FetchError, match="it is not signed"):
        cache.find(unaddressed)


def test_a_directory_does_not_lead_to_archives_elsewhere(tmp_path: Path) -> None:
    cache = cache_with(tmp_path, url="https://example.com/nar/x.nar")
    for ask in (lambda: cache.find(PATH), lambda: cache.look(PATH.name)):
        with pytest.raises(FetchError) as caught:
            ask()
        assert caught.value.message == (
            f"cannot use file:///cache/{hash_part(PATH.name)}.narinfo: `URL` is "
            "`https://example.com/nar/x.nar`, and a cache that is a directory has its archives in "
            "itself"
        )
