"""Modules that take others where those are there, and can do without."""

import contextlib
import importlib
import sys


def import_without(name: str, absent: str) -> None:
    """Import a module as if another, which it takes where it is there, were not."""
    if name not in sys.modules and absent not in sys.modules:
        sys.modules[absent] = None  # type: ignore[assignment]
        try:
            # One that cannot do without is imported by who needs it.
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
        finally:
            del sys.modules[absent]
