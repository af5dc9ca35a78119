"""Bring an image from a registry, as an OCI layout with all its platforms.

What comes is checked against its digests. A pull that was cut off continues where it was.
"""

import argparse
from pathlib import Path

from osloom.cli.context import store_of
from osloom.cli.output import in_bytes, print_json
from osloom.cli.progress import make_progress
from osloom.cli.verbs.push import add_registry_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reference", metavar="REFERENCE", help="registry.example.com/team/app:7")
    parser.add_argument(
        "--to", type=Path, metavar="DIRECTORY", help="default: the last word of its name, `.oci`"
    )
    parser.add_argument(
        "--platform", metavar="PLATFORM", help="only this one, for example linux/arm64"
    )
    add_registry_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    from osloom.api.pull import pull

    with make_progress(arguments.progress) as report:
        pulled = pull(
            store_of(arguments),
            arguments.reference,
            arguments.to,
            platform=arguments.platform,
            insecure=arguments.insecure,
            ca=arguments.ca,
            report=report,
        )
    if arguments.json:
        print_json(pulled)
    else:
        print(f"{pulled.path}: {pulled.reference}, {in_bytes(pulled.size)}, {pulled.digest}")
    return 0
