"""Start an output of an image for a person: the console, or the program, in this terminal."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import msgspec

from osloom.api.container import ContainerOptions, built_container, wishes_for
from osloom.api.machine import booted_disk, machine_for, machine_tools
from osloom.api.nspawn import nspawn_host_for
from osloom.api.requests import architecture_of
from osloom.api.session import Session
from osloom.base.errors import UsageError
from osloom.model.definition import Image
from osloom.run import console, container
from osloom.run.machine import Drive
from osloom.run.qemu import run_machine

RUNNABLE = ("disk", "nspawn", "oci")
"""Outputs that can run; the first that an image has is taken."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What of them an output has no use for is an error, not ignored."""

    memory: int | None = None
    processors: int | None = None
    disks: tuple[Drive, ...] = ()
    """More disks of a machine."""
    credentials: Mapping[str, str] = {}
    """Of systemd, for a machine; systemd.system-credentials(7)."""
    entrypoint: str | None = None
    """A container's program, in the place of the image's."""
    arguments: tuple[str, ...] = ()
    """For a container's program."""
    container: ContainerOptions = msgspec.field(default_factory=ContainerOptions)


_LOGIN = {"agetty.autologin": "root", "login.noauth": "yes"}
"""Credentials that log root in on the console, agetty(8), login(1): an appliance has no password."""

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
    refused = options.container.given()
    refused.pop("port", None)
    _refuse(name, "disk", arguments=options.arguments, entrypoint=options.entrypoint, **refused)
    image = session.project.image(name)
    architecture = architecture_of(image)
    tools = machine_tools(session, architecture)
    login = _LOGIN if image.disk.is_appliance else {}
    machine = machine_for(
        session,
        booted_disk(session, name, work),
        tools,
        work,
        more=options.disks,
        architecture=architecture,
        forwards=options.container.forwards or (),
        credentials={**login, **options.credentials},
        reboots=image.disk.is_appliance,
        tpm=image.disk.data.encryption == "tpm2",
        **_sizes(options),
    )
    return partial(run_machine, machine, tools, work)


def _nspawn(session: Session, name: str, options: Options, work: Path) -> Start:
    """The container's console in the machine of its tests: hosts rarely let a user start one."""
    refused = options.container.given()
    refused |= {"disk": options.disks, "entrypoint": options.entrypoint}
    refused["credential"] = options.credentials
    _refuse(name, "nspawn", arguments=options.arguments, **refused)
    host = nspawn_host_for(session, name, work, **_sizes(options))
    credentials = console.credentials(host.importing)
    machine = msgspec.structs.replace(host.machine, credentials=credentials)
    return partial(run_machine, machine, host.tools, work)


def _container(session: Session, name: str, options: Options, work: Path) -> Start:
    given = {"disk": options.disks, "credential": options.credentials}
    _refuse(name, "oci", **given, **_sizes(options))
    if session.project.image(name).nixos is not None and options.entrypoint is None:
        raise UsageError(
            f"cannot run `{name}` as `oci`: it is a whole system, whose systemd has to be the "
            "container's first process and to have control groups",
            hint="run its output `nspawn` or `disk`, or the container with podman",
        )
    made = built_container(session, name, session.project.image(name))
    words = made.settings.program(options.arguments, entrypoint=options.entrypoint)
    wishes = wishes_for(session, made, options.container, words)
    container.check_program(session.store, made, wishes)
    return partial(container.start, session.store, made, wishes, work)


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
    "nspawn": "log in on its console; for ports and more disks, run an output `disk`",
    "oci": "a container has the memory and the processors of this host, and `--volume` for files",
}
