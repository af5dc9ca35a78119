"""Start an image in this terminal: a machine's console, or a container's program.

Of the outputs of the image the first of `disk`, `nspawn`, `oci` is taken; `--format` takes another.
What it writes is forgotten, but for what goes to `--disk` and `--volume`.

A disk boots in a virtual machine; Ctrl-A X ends it. That of an appliance gets room for its data, and
root is logged in on the console, by credentials of this run: nothing of that is in the image.
An nspawn archive boots under systemd-nspawn, in a virtual machine that is made for it and ends with
it, or by Ctrl-A X.

A container runs as the image says: its program, its user, its environment, without root. It has
this terminal and the signals that are sent to osloom, and its exit status is the status here. The
ports that the image names are open on this host's loopback; with `--port` those that you name are,
and no others. Where a container can have no network of its own, it has this host's.
"""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from osloom.base.errors import UsageError
from osloom.cli.context import lock_of, project_of, store_of
from osloom.cli.progress import make_progress

if TYPE_CHECKING:
    from osloom.api.container import ContainerOptions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", metavar="IMAGE")
    parser.add_argument(
        "arguments",
        nargs="*",
        metavar="ARGUMENT",
        help="after `--`: what a container's program gets instead of `command`",
    )
    parser.add_argument("--format", metavar="OUTPUT", help="which output of the image to run")
    parser.add_argument(
        "--entrypoint", metavar="PROGRAM", help="a container's program, instead of the image's"
    )
    parser.add_argument(
        "--no-init",
        action="store_true",
        help="make a container's program its first process, which must wait for orphans and ask "
        "for the signals that shall end it",
    )
    add_container_arguments(parser)
    parser.add_argument("--memory", type=int, metavar="MIB", help="of a machine (default: 1024)")
    parser.add_argument(
        "--credential",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="pass a credential of systemd to a machine; may be repeated",
    )
    parser.add_argument("--processors", type=int, metavar="COUNT", help="of a machine (default: 2)")
    parser.add_argument(
        "--disk",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="give a machine one more disk, raw or qcow2; what is written there is kept; may be "
        "repeated",
    )


def add_container_arguments(parser: argparse.ArgumentParser) -> None:
    """What `run` and `shell` have in common."""
    parser.add_argument(
        "-p",
        "--port",
        action="append",
        metavar="[[ADDRESS:]HOST:]GUEST",
        help="open a TCP port of a disk or container on this host's loopback, or on an address; "
        "may be repeated",
    )
    parser.add_argument(
        "-v",
        "--volume",
        action="append",
        default=[],
        metavar="HOST:CONTAINER[:ro]",
        help="mount a file or directory of this host; what is written there is kept; may be "
        "repeated",
    )
    parser.add_argument(
        "-e",
        "--env",
        action="append",
        default=[],
        metavar="NAME[=VALUE]",
        help="set a variable of a container, or pass this shell's on; may be repeated",
    )
    parser.add_argument(
        "--user", metavar="USER[:GROUP]", help="who a container's program is, by name or number"
    )
    parser.add_argument(
        "--network",
        choices=("own", "host", "none"),
        help="of a container (default: its own, or the host's where it can have none)",
    )
    parser.add_argument(
        "--read-only",
        action="store_true",
        help="let a container write only to /tmp and its volumes",
    )


def run(arguments: argparse.Namespace) -> int:
    from osloom.api.run import Options, choose_output, prepare
    from osloom.api.session import Session
    from osloom.run.machine import disk_of

    options = Options(
        memory=arguments.memory,
        processors=arguments.processors,
        disks=tuple(disk_of(path) for path in arguments.disk),
        credentials=dict(_credential(text) for text in arguments.credential),
        entrypoint=arguments.entrypoint,
        arguments=tuple(arguments.arguments),
        container=container_options(arguments),
    )
    project = project_of(arguments)
    name: str = arguments.image
    output = choose_output(name, project.image(name), arguments.format)
    lock = lock_of(arguments, project)
    store = store_of(arguments)
    with store.working_directory() as work:
        with (
            make_progress(arguments.progress) as report,
            Session(project, lock, store, report) as session,
        ):
            start = prepare(session, name, output, options, work)
        return start()


def container_options(arguments: argparse.Namespace) -> "ContainerOptions":
    """Raises UsageError for what cannot be read."""
    from osloom.api.container import ContainerOptions
    from osloom.run.container import parse_volume
    from osloom.run.network import parse_forward

    ports: list[str] | None = arguments.port
    return ContainerOptions(
        forwards=None if ports is None else tuple(parse_forward(text) for text in ports),
        mounts=tuple(parse_volume(text) for text in arguments.volume),
        environment=dict(pair for text in arguments.env for pair in _variable(text)),
        user=arguments.user,
        network=arguments.network,
        read_only=arguments.read_only,
        init=not getattr(arguments, "no_init", False),
    )


def _variable(text: str) -> list[tuple[str, str]]:
    name, equals, value = text.partition("=")
    if not name:
        raise UsageError(f"cannot read the variable `{text}`", hint="write it as NAME=VALUE")
    if equals:
        return [(name, value)]
    return [(name, os.environ[name])] if name in os.environ else []


def _credential(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise UsageError(f"cannot read the credential `{text}`", hint="write it as NAME=VALUE")
    return name, value
