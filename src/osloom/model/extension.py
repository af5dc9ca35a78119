"""Extensions, as a definition says them."""

from collections.abc import Mapping

from osloom.model.providers import Table
from osloom.model.values import Word

PLACES: Mapping[str, tuple[str, ...]] = {"sysext": ("usr", "opt"), "confext": ("etc",)}
"""The directories of the root that are merged, by the kind of extension; systemd-sysext(8)."""
DIRECTORIES: Mapping[str, str] = {"sysext": "extensions", "confext": "confexts"}
"""Where below /var/lib and /run each kind is looked for."""
EXTENSIONS = frozenset(PLACES)
"""The outputs that are extensions."""


class Extension(Table, frozen=True, kw_only=True):
    """What a system can have on top while it runs: packages and files below /usr and /opt in a
    `sysext`, below /etc in a `confext`. Each is a disk image with verity."""

    level: Word | None = None
    """Merge it where os-release says this SYSEXT_LEVEL or CONFEXT_LEVEL; by default where it says
    the same version of the distribution as the image that is extended."""
    compression: str | None = "lz4hc"
    """Of erofs: `lz4`, `lz4hc,12`, `zstd,9` …; the kernel that reads it has to know it."""
