"""Start an image in this terminal: a machine's console, or a container's program.

Of the outputs of the image the first of `disk`, `nspawn`, `oci` is taken; `--format` takes another.
What it writes is forgotten.

A disk boots in a virtual machine; Ctrl-A X ends it.
An nspawn archive boots under systemd-nspawn, in a virtual machine that is made for it and ends with
it, or by Ctrl-A X.

A container runs its entrypoint, without root, with the environment, the user and the directory of
the definition. It has this terminal, the signals that are sent to osloom, and this host's network:
what it listens on is open on this host, no port needs mapping. Its exit status is the status here.
"""

import argparse
from typing import TYPE_CHECKING

from osloom.base.errors import UsageError
from osloom.cli.context import project_of, store_of
from osloom.cli.progress import make_progress

if TYPE_CHECKING:
    from osloom.run.machine import Forward

NAME = "run"


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
        "-p",
        "--port",
        action="append",
        default=[],
        metavar="HOST:GUEST",
        help="forward a TCP port of this host's loopback into a disk; may be repeated",
    )
    parser.add_argument("--memory", type=int, metavar="MIB", help="of a machine (default: 1024)")
    parser.add_argument("--processors", type=int, metavar="COUNT", help="of a machine (default: 2)")


def run(arguments: argparse.Namespace) -> int:
    from osloom.api.build import Session, check_fresh
    from osloom.api.run import Options, choose_output, prepare

    options = Options(
        memory=arguments.memory,
        processors=arguments.processors,
        forwards=tuple(_forward(text) for text in arguments.port),
        arguments=tuple(arguments.arguments),
    )
    project = project_of(arguments)
    name: str = arguments.image
    output = choose_output(name, project.image(name), arguments.format)
    lock = project.lock()
    check_fresh(project, lock)
    store = store_of(arguments)
    with store.working_directory() as work:
        with (
            make_progress(arguments.progress) as report,
            Session(project, lock, store, report) as session,
        ):
            start = prepare(session, name, output, options, work)
        return start()


def _forward(text: str) -> "Forward":
    from osloom.run.machine import Forward

    host, colon, guest = text.partition(":")
    if not (colon and host.isdigit() and guest.isdigit()):
        raise UsageError(f"cannot read the port `{text}`", hint="write it as 8080:80")
    return Forward(host=int(host), guest=int(guest))
