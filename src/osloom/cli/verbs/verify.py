"""Build again with nothing the same, and compare every output byte by byte.

Of appliances and extensions the files of a release are compared too; nothing is published.
The second build has an empty store, another directory, umask, locale, time zone and host name.
Its clock is 400 days ahead: for tools, for scripts in the sandbox and for osloom's workers, but not
for static programs and the times of files.
"""

import argparse

from osloom.cli.context import project_of, session_of
from osloom.cli.output import print_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("images", nargs="*", metavar="IMAGE", help="all with outputs by default")


def run(arguments: argparse.Namespace) -> int:
    from osloom.api.verify import verify

    project = project_of(arguments)
    images = project.chosen(tuple(arguments.images))
    with session_of(arguments, project) as session:
        verdicts = verify(session, images)
    differs = [one for one in verdicts if one.difference is not None]
    if arguments.json:
        print_json(verdicts)
        return int(bool(differs))
    for one in verdicts:
        difference = one.difference
        if difference is None:
            print(f"{one.artifact.path}: identical")
        else:
            print(f"{difference.path}: differs from byte {difference.offset}")
            if difference.inside:
                print(f"  first difference inside: {difference.inside}")
    return int(bool(differs))
