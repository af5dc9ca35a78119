"""`unfinished.json`: the files of a channel that a release which was cut off may have left over.

It is there from before a release's first file until what it need not keep is removed. It is not
signed: nothing that it says is trusted.
"""

from collections.abc import Iterable

import msgspec

from osloom.fetch.storage.storage import Storage
from osloom.release.upload import JSON_KIND

JOURNAL = "unfinished.json"
_MOST = 1 << 20


class _Journal(msgspec.Struct, frozen=True, kw_only=True):
    files: tuple[str, ...] = ()


def load_journal(storage: Storage) -> set[str]:
    """The names in it; none where there is no journal, or something else. Raises FetchError."""
    data = storage.read(JOURNAL, limit=_MOST)
    try:
        return {*msgspec.json.decode(data or b"{}", type=_Journal).files}
    except msgspec.DecodeError:
        return set()


def save_journal(storage: Storage, names: Iterable[str]) -> None:
    """Raises FetchError."""
    journal = msgspec.json.encode(_Journal(files=tuple(sorted(names))))
    storage.write(JOURNAL, journal, kind=JSON_KIND)
