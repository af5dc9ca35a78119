"""Say why a package or store path is in an image: the shortest chain from what was asked for."""

import argparse

from osloom.cli.context import project_of
from osloom.cli.output import in_bytes, print_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("package", metavar="PACKAGE", help="or a store path, or its name")
    parser.add_argument("images", nargs="*", metavar="IMAGE", help="all that hold it by default")


def run(arguments: argparse.Namespace) -> int:
    from osloom.api.explain import why

    reasons = why(project_of(arguments).lock(), arguments.package, tuple(arguments.images))
    if arguments.json:
        print_json(reasons)
        return 0
    for reason in reasons:
        source = "asked for" if reason.requested else "essential"
        print(f"{reason.image} ({source}): {' -> '.join(reason.chain)}")
        if reason.saved is not None:
            print(f"  without it: {in_bytes(reason.saved)} less")
    return 0
