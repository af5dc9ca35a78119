"""A command as a process of its own, which starts and ends in the least time."""

import gc

from osloom.base.imports import import_without

_FEW = 100_000
"""Objects that a command makes before Python looks for cycles among them: it makes hardly any."""


def start() -> int:
    """Run the command line's command; gives its exit status."""
    prepare()
    from osloom.cli.main import main

    status = main()
    # Or Python would look for cycles among all that there is before it gives it back.
    gc.freeze()
    return status


def prepare() -> None:
    """What comes before any other module is imported."""
    gc.set_threshold(_FEW)
    # Workers are copies of this process, and take the tools' liblzma (`engine.process`).
    import_without("shutil", "lzma")
    # On Python 3.11 it would only be asked for what `typing` has, too.
    import_without("msgspec", "typing_extensions")
