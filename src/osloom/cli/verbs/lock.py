"""Resolve every image against verified repositories and write osloom.lock.

Locked versions stay as they are while the mirror has them; what the definition no longer asks for
goes, and what is new in it is added.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from osloom.cli.context import now, project_of, store_of
from osloom.cli.output import print_json
from osloom.cli.progress import make_progress

if TYPE_CHECKING:
    from osloom.model.lock import Lock, LockedImage

_NAMED = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--upgrade", action="store_true", help="take the newest of everything")
    parser.add_argument(
        "--upgrade-package",
        action="append",
        default=[],
        metavar="NAME",
        help="take the newest of one package, of a base (`oci:…`) or of a flake (`FLAKE#ATTRIBUTE`); "
        "may be repeated",
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
            {
                "changed": done.changed,
                "added": list(done.added),
                "removed": list(done.removed),
                "only_here": list(done.only_here),
            }
        )
    elif not done.changed:
        print(f"{project.lock_path.name} is up to date")
    else:
        for image, locked in sorted(done.lock.images.items()):
            if not image.startswith("."):
                print(f"{image}: {_contents(done.lock, image, locked)}")
        print(f"wrote {project.lock_path.name}: {len(done.added)} new, {len(done.removed)} gone")
    if done.only_here:
        print(_only_here(done.only_here), file=sys.stderr)
    return 0


def _contents(lock: "Lock", image: str, locked: "LockedImage") -> str:
    paths = len(lock.closure_of(image))
    parts = [f"{len(locked.packages)} packages of {locked.suite}"] if locked.packages else []
    parts += [f"{paths} store paths"] if paths else []
    return ", ".join(parts) or "nothing"


def _only_here(names: Sequence[str]) -> str:
    """That another machine cannot build, and what to do about it."""
    shown = ", ".join(name.partition("-")[2] for name in names[:_NAMED])
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    verb, them = ("is", "it") if len(names) == 1 else ("are", "them")
    return (
        f"note: {shown}{more} {verb} in no binary cache: "
        f"`osloom push --nix-cache` puts {them} into one, for machines without Nix"
    )
