"""Start an image: its disk in a virtual machine, with the console in this terminal.

Ctrl-A X ends the machine. What it writes is forgotten.
"""

import argparse

from osloom.base.errors import UsageError
from osloom.cli.context import project_of, store_of
from osloom.cli.progress import make_progress

NAME = "run"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", metavar="IMAGE")
    parser.add_argument(
        "-p",
        "--port",
        action="append",
        default=[],
        metavar="HOST:GUEST",
        help="forward a TCP port of this host's loopback; may be repeated",
    )
    parser.add_argument("--memory", type=int, default=1024, metavar="MIB")
    parser.add_argument("--processors", type=int, default=2, metavar="COUNT")


def run(arguments: argparse.Namespace) -> int:
    from osloom.api.build import Session, check_fresh
    from osloom.api.machine import built_disk, machine_for, machine_tools
    from osloom.api.requests import architecture_of
    from osloom.run.machine import Forward
    from osloom.run.qemu import run_machine

    project = project_of(arguments)
    image = project.image(arguments.image)
    lock = project.lock()
    check_fresh(project, lock)
    forwards = tuple(_forward(text) for text in arguments.port)
    store = store_of(arguments)
    with store.working_directory() as work:
        with (
            make_progress(arguments.progress) as report,
            Session(project, lock, store, report) as session,
        ):
            tools = machine_tools(session, architecture_of(image))
            machine = machine_for(
                session,
                built_disk(session, arguments.image),
                tools,
                work,
                architecture=architecture_of(image),
                memory=arguments.memory,
                processors=arguments.processors,
                forwards=tuple(Forward(host=host, guest=guest) for host, guest in forwards),
            )
        return run_machine(machine, tools, work)


def _forward(text: str) -> tuple[int, int]:
    host, colon, guest = text.partition(":")
    if not (colon and host.isdigit() and guest.isdigit()):
        raise UsageError(f"cannot read the port `{text}`", hint="write it as 8080:80")
    return int(host), int(guest)
