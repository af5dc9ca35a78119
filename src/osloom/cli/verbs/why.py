"""Say why a package or store path is in an image: the shortest chain from what was asked for."""

import argparse
import contextlib

from osloom.cli.context import project_of, store_of
from osloom.cli.output import in_bytes, print_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("package", metavar="PACKAGE", help="or a store path, or its name")
    parser.add_argument("images", nargs="*", metavar="IMAGE", help="all that hold it by default")


def run(arguments: argparse.Namespace) -> int:
    from osloom.api.explain import why
    from osloom.api.nix_files import check_file

    lock = project_of(arguments).lock()
    reasons = why(lock, arguments.package, tuple(arguments.images))
    if "/" in arguments.package:
        with contextlib.closing(store_of(arguments)) as store:
            check_file(arguments.package, lock, store)
    if arguments.json:
        print_json(reasons)
        return 0
    for reason in reasons:
        source = "asked for" if reason.requested else "essential"
        print(f"{reason.image} ({source}): {' -> '.join(reason.chain)}")
        if reason.saved is not None:
            print(f"  without it: {in_bytes(reason.saved)} less")
    return 0
