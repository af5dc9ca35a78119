"""Build images and load them into podman or docker, or write them as one archive.

Without `--into`, the engine whose socket is there takes them, podman first.
"""

import argparse

from osloom.cli.context import project_of, session_of
from osloom.cli.output import print_json, print_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "images", nargs="*", metavar="IMAGE", help="all with the output `oci` by default"
    )
    parser.add_argument(
        "--into",
        metavar="PLACE",
        help="podman, docker, docker-archive:FILE or oci-archive:FILE",
    )


def run(arguments: argparse.Namespace) -> int:
    from osloom.api.load import load

    project = project_of(arguments)
    images = project.containers(tuple(arguments.images), verb="load")
    with session_of(arguments, project) as session:
        loaded = load(session, images, arguments.into)
    if arguments.json:
        print_json(loaded)
    else:
        rows = [[one.name, one.digest[7:19], one.into] for one in loaded]
        print_table(["image", "digest", "into"], rows)
    return 0
