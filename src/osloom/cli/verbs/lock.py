"""Resolve every image against verified repositories and write osloom.lock.

Locked versions stay as they are while the mirror has them; what the definition no longer asks for
goes, and what is new in it is added.
"""

import argparse

from osloom.cli.context import now, project_of, store_of
from osloom.cli.output import print_json
from osloom.cli.progress import make_progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--upgrade", action="store_true", help="take the newest of everything")
    parser.add_argument(
        "--upgrade-package",
        action="append",
        default=[],
        metavar="NAME",
        help="take the newest of one package, or of a base (`oci:…`); may be repeated",
    )


def run(arguments: argparse.Namespace) -> int:
    from osloom.api.lock import lock

    project = project_of(arguments)
    with make_progress(arguments.progress) as report:
        done = lock(
            project,
            store_of(arguments),
            report,
            now=now(),
            upgrade_all=arguments.upgrade,
            upgrade=tuple(arguments.upgrade_package),
        )
    if arguments.json:
        print_json(
            {"changed": done.changed, "added": list(done.added), "removed": list(done.removed)}
        )
    elif not done.changed:
        print(f"{project.lock_path.name} is up to date")
    else:
        for image, locked in sorted(done.lock.images.items()):
            if not image.startswith("."):
                print(f"{image}: {len(locked.packages)} packages of {locked.suite}")
        print(f"wrote {project.lock_path.name}: {len(done.added)} new, {len(done.removed)} gone")
    return 0
