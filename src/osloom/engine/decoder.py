"""The tools image's xz decoder in osloom's own processes.

Unpacking packages is mostly decoding xz, and liblzma 5.8 takes a third less time for that than what
most hosts have. What comes out is the same; where it does not fit, the host's does the work.
"""

import contextlib
import os
from pathlib import Path


def find_decoder(root: Path) -> Path | None:
    """liblzma in the tree of the tools image."""
    return next(root.glob("usr/lib/*/liblzma.so.5"), None)


def load_decoder(path: Path) -> None:
    """Take `path` for liblzma; in vain when Python's own module has asked for it, dlopen(3)."""
    import ctypes

    # A static Python, or another libc than the tools have.
    with contextlib.suppress(OSError):
        ctypes.CDLL(os.fspath(path))
