"""Build images and bring them to a registry.

Each image with the output `oci` goes to the address of `[registry]` and its name there, under its
tag and `tags`. What the registry has is not sent again; a tag that stands for the image already
costs one request. No tag moves before everything of every image is there.

Credentials are those of podman and docker: `podman login` or `docker login` keep them.

`--nix-cache` pushes no image, but the store paths that images take from Nix, into a binary cache: a
directory, a server that takes PUT, or an S3 bucket. Then any machine builds from the lock.
"""

import argparse
from pathlib import Path

from osloom.base.errors import UsageError
from osloom.cli.context import project_of, session_of
from osloom.cli.output import in_bytes, print_json, print_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "images", nargs="*", metavar="IMAGE", help="all with the output `oci` by default"
    )
    place = parser.add_mutually_exclusive_group()
    place.add_argument(
        "--to",
        metavar="ADDRESS",
        help="what stands before the images' names, instead of the definition's `address`; "
        "with a tag, the one place of one image",
    )
    place.add_argument(
        "--nix-cache",
        metavar="URL",
        help="write the images' store paths there: a directory, http(s)://, file:// or s3://",
    )
    parser.add_argument(
        "--nix-key",
        type=Path,
        metavar="FILE",
        help="sign them with this secret key too, as `nix key generate-secret` writes it",
    )
    parser.add_argument(
        "--tag",
        action="append",
        default=[],
        metavar="TAG",
        help="one more tag; may be repeated",
    )
    add_registry_arguments(parser)


def add_registry_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--ca", type=Path, metavar="FILE", help="trust this authority too; or OSLOOM_REGISTRY_CA"
    )
    parser.add_argument(
        "--insecure",
        action="store_true",
        help="allow plain HTTP; a registry on this machine needs no leave",
    )


def run(arguments: argparse.Namespace) -> int:
    if arguments.nix_cache is not None:
        return _run_nix_cache(arguments)
    if arguments.nix_key is not None:
        raise UsageError("cannot sign store paths: `--nix-key` needs `--nix-cache`")
    from osloom.api.push import Destination, push

    project = project_of(arguments)
    images = project.containers(tuple(arguments.images), verb="push")
    destination = Destination(
        to=arguments.to,
        tags=tuple(arguments.tag),
        insecure=arguments.insecure,
        ca=arguments.ca,
    )
    with session_of(arguments, project) as session:
        pushed = push(session, images, destination)
    if arguments.json:
        print_json(pushed)
        return 0
    rows = [
        [
            one.reference,
            one.digest[7:19],
            in_bytes(one.sent),
            in_bytes(one.skipped),
            in_bytes(one.mounted),
            "was there" if one.unchanged else "pushed",
        ]
        for one in pushed
    ]
    print_table(["reference", "digest", "sent", "skipped", "mounted", "tag"], rows)
    return 0


def _run_nix_cache(arguments: argparse.Namespace) -> int:
    from osloom.api.nix_cache import push_closures

    project = project_of(arguments)
    # A directory is one of whoever calls; the definition's own caches are below it.
    url = arguments.nix_cache
    url = url if "://" in url or not url else str(Path(url).absolute())
    with session_of(arguments, project) as session:
        pushed = push_closures(session, tuple(arguments.images), url, key=arguments.nix_key)
    if arguments.json:
        print_json(pushed)
        return 0
    rows = [
        [
            one.path,
            in_bytes(one.sent),
            ", ".join(one.signed_by) or "nobody",
            "was there" if one.unchanged else "pushed",
        ]
        for one in pushed
    ]
    print_table(["path", "sent", "signed by", "state"], rows)
    return 0
