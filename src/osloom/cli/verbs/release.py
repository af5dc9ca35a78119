"""Publish a new version of images, for the devices that run them.

Each appliance is built and goes to a directory of its name in the channel: a directory, a web server
that takes PUT, an S3 bucket or an OCI registry. There are its files, a manifest, SHA256SUMS and its
signature. The version is `version` in `[project]`, one more for every release.

What the channel has is not sent again. A publish that is cut off leaves the version before it whole,
and the next one goes on.
"""

import argparse

from osloom.cli.context import now, project_of, session_of
from osloom.cli.output import in_bytes, print_json, print_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("images", nargs="*", metavar="IMAGE", help="all appliances by default")
    parser.add_argument(
        "--to",
        metavar="CHANNEL",
        help="instead of the definition's: a path, https://, s3:// or oci://",
    )
    parser.add_argument(
        "--keep", type=int, metavar="N", help="versions that stay in the channel (default: 3)"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="build, and say what would be sent and removed"
    )
    parser.add_argument(
        "--unsigned", action="store_true", help="publish to a channel without signatures"
    )
    parser.add_argument(
        "--new-secure-boot-key",
        action="store_true",
        help="every device trusts another key than that of the version before",
    )


def run(arguments: argparse.Namespace) -> int:
    from osloom.api.release import Wanted, releasable, release

    project = project_of(arguments)
    images = releasable(project, tuple(arguments.images))
    wanted = Wanted(
        to=arguments.to,
        keep=arguments.keep,
        unsigned=arguments.unsigned,
        dry_run=arguments.dry_run,
        is_key_new=arguments.new_secure_boot_key,
    )
    with session_of(arguments, project) as session:
        made = release(session, images, wanted, now=now())
    if arguments.json:
        print_json(made)
        return 0
    sent = "to send" if arguments.dry_run else "sent"
    rows = [
        [file.name, in_bytes(file.size), file.digest[7:19], sent if file.sent else "there"]
        for one in made
        for file in one.files
    ]
    print_table(["file", "size", "digest", ""], rows)
    for one in made:
        what = "would be published" if arguments.dry_run else "is published"
        what = "is unchanged" if one.unchanged else what
        signed = "" if one.signed else ", unsigned"
        print(f"{one.id}: version {one.version} {what} at {one.channel}{signed}")
        held = ", ".join(str(version) for version in one.versions)
        print(f"{one.id}: {in_bytes(one.sent)} {sent}; versions there: {held}")
        if one.delta is not None:
            fetched, size = in_bytes(one.delta.fetched), in_bytes(one.delta.size)
            print(f"{one.id}: devices with version {one.delta.version} fetch {fetched} of {size}")
        if one.removed:
            removed = "would be removed" if arguments.dry_run else "removed"
            print(f"{one.id}: {removed}: {', '.join(one.removed)}")
        for note in one.notes:
            print(f"{one.id}: {note}")
    return 0
