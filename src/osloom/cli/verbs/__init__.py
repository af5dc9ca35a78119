"""The verbs: one module each, of the same name, imported when it is needed."""

import argparse
import importlib
from typing import Protocol, cast

NAMES = (
    "init",
    "lock",
    "outdated",
    "build",
    "run",
    "shell",
    "test",
    "verify",
    "push",
    "release",
    "serve",
    "pull",
    "load",
    "inspect",
    "why",
    "keys",
    "cache",
    "schema",
    "doctor",
    "completions",
)
"""In the order of the help."""


class Verb(Protocol):
    """What the module of a verb has; its docstring is the help."""

    __doc__: str | None

    def add_arguments(self, parser: argparse.ArgumentParser, /) -> None: ...

    def run(self, arguments: argparse.Namespace, /) -> int: ...


def find_verb(name: str) -> Verb:
    return cast("Verb", importlib.import_module(f"{__name__}.{name}"))
