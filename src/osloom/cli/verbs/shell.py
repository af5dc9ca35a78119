"""Open a shell with debug tools in a container of an image, even in one without a shell.

The container is that of `osloom run`, but its program does not start: you are root in it, and look
around. Below /.osloom there are bash, coreutils, curl, strace, ps, ip, vim and more, at the end of
PATH; they bring their own libraries, and what the image has itself stays as it is. With a command
it runs that, and its exit status is the status here. What is written is forgotten.
"""

import argparse

from osloom.base.errors import UsageError
from osloom.cli.context import lock_of, project_of, store_of
from osloom.cli.progress import make_progress
from osloom.cli.verbs.run import add_container_arguments, container_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_container_arguments(parser)
    parser.add_argument("image", metavar="IMAGE")
    parser.add_argument(
        "arguments",
        nargs=argparse.REMAINDER,
        metavar="COMMAND",
        help="what to run in the place of a shell, with all that follows it",
    )


def run(arguments: argparse.Namespace) -> int:
    from osloom.api.session import Session
    from osloom.api.shell import prepare_shell

    command: list[str] = arguments.arguments
    if command and command[0].startswith("-"):
        raise UsageError(
            f"cannot run `{command[0]}`: what follows the image is the command",
            hint=f"options go before the image: `osloom shell {command[0]} … {arguments.image}`",
        )
    project = project_of(arguments)
    lock = lock_of(arguments, project)
    store = store_of(arguments)
    with store.working_directory() as work:
        with (
            make_progress(arguments.progress) as report,
            Session(project, lock, store, report) as session,
        ):
            options = container_options(arguments)
            start = prepare_shell(session, arguments.image, command, options, work)
        return start()
