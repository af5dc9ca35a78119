"""Build images: every output that the definition asks for, from what is locked."""

import argparse
import time
from pathlib import Path

from osloom.cli.context import lock_of, project_of, store_of
from osloom.cli.output import in_bytes, in_seconds, print_json, print_table
from osloom.cli.progress import make_progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("images", nargs="*", metavar="IMAGE", help="all with outputs by default")
    parser.add_argument(
        "--format",
        action="append",
        default=[],
        metavar="FORMAT",
        help="make this output, whatever the definition lists; may be repeated",
    )
    parser.add_argument(
        "--changed-since",
        metavar="REVISION",
        help="only images that are not what they were in this git revision",
    )
    parser.add_argument("-o", "--output", type=Path, metavar="DIRECTORY", help="default: dist")


def _report_nothing(arguments: argparse.Namespace) -> None:
    if arguments.json:
        print_json([])
    else:
        print(f"nothing to build: no image has changed since {arguments.changed_since}")


def run(arguments: argparse.Namespace) -> int:
    from osloom.api.build import build
    from osloom.api.changed import changed
    from osloom.api.session import Session

    project = project_of(arguments)
    images = project.chosen(tuple(arguments.images))
    lock = lock_of(arguments, project)
    if arguments.changed_since is not None:
        touched = changed(project, lock, arguments.changed_since)
        images = {name: image for name, image in images.items() if name in touched}
        if not images:
            _report_nothing(arguments)
            return 0
    start = time.monotonic()
    with (
        make_progress(arguments.progress) as report,
        Session(project, lock, store_of(arguments), report) as session,
    ):
        output: Path | None = arguments.output
        made = build(
            session,
            images,
            formats=tuple(arguments.format),
            directory=output.absolute() if output else None,
        )
    if arguments.json:
        print_json(made)
        return 0
    rows = [
        [
            one.image,
            one.format,
            one.path,
            in_bytes(one.size),
            one.digest[7:19],
            "reused" if one.reused else in_seconds(one.seconds),
        ]
        for one in made
    ]
    print_table(["image", "output", "file", "size", "digest", "time"], rows)
    # Files that one step made all have what is to be said of it.
    for image, note in dict.fromkeys((one.image, note) for one in made for note in one.notes):
        print(f"{image}: {note}")
    print(f"done in {in_seconds(time.monotonic() - start)}")
    return 0
