"""Write a definition to start from, and the schema that editors check it with."""

import argparse
from pathlib import Path

from osloom.cli.output import print_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from osloom.definition.init import DEFAULT, TEMPLATES

    listed = "; ".join(f"{name}: {what}" for name, what in TEMPLATES.items())
    parser.add_argument("template", nargs="?", default=DEFAULT, metavar="TEMPLATE", help=listed)
    parser.add_argument("directory", nargs="?", type=Path, default=Path(), metavar="DIRECTORY")


def run(arguments: argparse.Namespace) -> int:
    from osloom.definition.init import APPLIANCE, init

    written = init(arguments.directory, arguments.template)
    if arguments.json:
        print_json([str(path) for path in written])
    else:
        for path in written:
            print(f"wrote {path}")
        keys = "osloom keys new, " if arguments.template == APPLIANCE else ""
        print(f"next: {keys}osloom lock, osloom build, osloom test")
    return 0
