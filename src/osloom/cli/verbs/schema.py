"""Print the JSON schema of osloom.toml, for editors and other programs."""

import argparse


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    pass


def run(_arguments: argparse.Namespace) -> int:
    from osloom.definition.schema import schema_text

    print(schema_text(), end="")
    return 0
