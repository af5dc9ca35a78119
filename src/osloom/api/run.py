"""Start an output of an image for a person: the console, or the program, in this terminal."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from osloom.api.build import Session
from osloom.api.cases import note
from osloom.api.container import built_container
from osloom.api.machine import built_disk, machine_for, machine_tools
from osloom.api.nspawn import nspawn_machine
from osloom.api.requests import architecture_of, host_architecture
from osloom.base.errors import UsageError
from osloom.engine.identity import find_identity
from osloom.model.definition import Image
from osloom.run import console, container
from osloom.run.machine import Forward
from osloom.run.qemu import run_machine

RUNNABLE = ("disk", "nspawn", "oci")
"""Outputs that can run; the first that an image has is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What of them an output has no use for is an error, not ignored."""

    memory: int | None = None
    processors: int | None = None
    forwards: tuple[Forward, ...] = ()
    arguments: tuple[str, ...] = ()
    """For the container's program."""


Start = Callable[[], int]
"""Starts it and gives its exit status; it has the terminal, so that nothing may report then."""


def choose_output(name: str, image: Image, wanted: str | None) -> str:
    """Which output of the image to run. Raises UsageError with those that there are."""
    found = [one for one in RUNNABLE if one in image.outputs]
    if not found:
        raise UsageError(
            f"cannot run `{name}`: it has no output that can run",
            hint=f"add one of them to its `outputs`: {', '.join(RUNNABLE)}",
        )
    if wanted is not None and wanted not in found:
        raise UsageError(
            f"cannot run `{name}` as `{wanted}`: it has no such output that can run",
            hint=f"there {'is' if len(found) == 1 else 'are'}: {', '.join(found)}",
        )
    return wanted or found[0]


def prepare(session: Session, name: str, output: str, options: Options, work: Path) -> Start:
    """Build what it takes. `work` has to be there for as long as it runs."""
    match output:
        case "oci":
            return _container(session, name, options, work)
        case "nspawn":
            return _nspawn(session, name, options, work)
        case _:
            return _disk(session, name, options, work)


def _disk(session: Session, name: str, options: Options, work: Path) -> Start:
    _refuse(name, "disk", arguments=options.arguments)
    architecture = architecture_of(session.project.image(name))
    tools = machine_tools(session, architecture)
    machine = machine_for(
        session,
        built_disk(session, name),
        tools,
        work,
        architecture=architecture,
        forwards=options.forwards,
        **_sizes(options),
    )
    return partial(run_machine, machine, tools, work)


def _nspawn(session: Session, name: str, options: Options, work: Path) -> Start:
    """The container's console in the machine of its tests: hosts rarely let a user start one."""
    _refuse(name, "nspawn", arguments=options.arguments, port=options.forwards)
    architecture = architecture_of(session.project.image(name))
    tools = machine_tools(session, architecture)
    host = nspawn_machine(session, name, work)
    machine = machine_for(
        session,
        host.disk,
        tools,
        work,
        more=host.more,
        architecture=architecture,
        credentials=console.credentials(host.importing),
        **_sizes(options),
    )
    return partial(run_machine, machine, tools, work)


def _container(session: Session, name: str, options: Options, work: Path) -> Start:
    sizes = {"memory": options.memory, "processors": options.processors}
    _refuse(name, "oci", port=options.forwards, **sizes)
    image = session.project.image(name)
    architecture = architecture_of(image)
    if architecture != host_architecture():
        raise UsageError(
            f"cannot run `{name}`: it is for {architecture}, this host is {host_architecture()}"
        )
    if image.base is None:
        container.program_of(image.oci, options.arguments)  # before anything is built
    made = built_container(session, name, image)
    program = container.program_of(made.settings, options.arguments)
    who = container.user_of(session.store, made)
    if find_identity() == "single" and (who.uid, who.gid) != (0, 0):
        said = "this user has a single id (`osloom doctor`): the program runs as root of a"
        note(session, f"{said} namespace, not as {who}")
    return partial(container.start, session.store, made, who, program, work)


def _sizes(options: Options) -> dict[str, int]:
    sizes = {"memory": options.memory, "processors": options.processors}
    return {name: size for name, size in sizes.items() if size is not None}


def _refuse(name: str, output: str, **given: object) -> None:
    useless = [option for option, value in given.items() if value]
    if useless:
        what = " and ".join("arguments" if one == "arguments" else f"`--{one}`" for one in useless)
        raise UsageError(
            f"cannot run `{name}` with {what}: its {output} output takes none", hint=_WHY[output]
        )


_WHY = {
    "disk": "log in on its console, or give the command to a container",
    "nspawn": "log in on its console; to reach its ports, run an output `disk`",
    "oci": "a container has the network, the memory and the processors of this host",
}
