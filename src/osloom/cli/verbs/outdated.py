"""Show what the repositories have newer than the lock; writes nothing.

Exit status 0 whether or not something is newer.
"""

import argparse

from osloom.cli.context import now, project_of, store_of
from osloom.cli.output import print_json, print_table
from osloom.cli.progress import make_progress


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    pass


def run(arguments: argparse.Namespace) -> int:
    from osloom.api.outdated import outdated

    project = project_of(arguments)
    with make_progress(arguments.progress) as report:
        found = outdated(project, store_of(arguments), report, now=now())
    if arguments.json:
        print_json(found)
    elif not found:
        print("everything locked is the newest there is")
    else:
        rows = [
            [
                one.image,
                one.package,
                _short(one.locked) or "-",
                _short(one.available) or "-",
                one.repository,
            ]
            for one in found
        ]
        print_table(["image", "package", "locked", "available", "from"], rows)
    return 0


def _short(version: str) -> str:
    """Enough of a digest to tell it from others; versions whole."""
    from osloom.base.digest import is_digest

    return version[:19] if is_digest(version) else version
