"""Containers of a project: what they are made of, and how a person wants them to run."""

from collections.abc import Mapping, Sequence

import msgspec

from osloom.api.cases import note
from osloom.api.plan import plan
from osloom.api.requests import (
    CONTAINERS,
    architecture_of,
    debug_name,
    host_architecture,
    variant_for_host,
)
from osloom.api.session import Session
from osloom.assemble.oci import plan_tools
from osloom.base.digest import Digest
from osloom.base.errors import UsageError
from osloom.compose.plan import (
    plan_debug_tools,
    plan_files,
    plan_trimmed,
)
from osloom.engine.identity import find_identity
from osloom.engine.step import Output
from osloom.model.definition import Image
from osloom.run import network
from osloom.run.bundle import Mount
from osloom.run.container import Container, Wishes, user_of
from osloom.run.machine import Forward
from osloom.run.runtime import Network
from osloom.run.settings import load_settings
from osloom.store.store import Store


class ContainerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a command line says of a container, run or looked into."""

    forwards: tuple[Forward, ...] | None = None
    """None: the ports that the image names, as far as they are free."""
    mounts: tuple[Mount, ...] = ()
    environment: Mapping[str, str] = {}
    user: str | None = None
    network: Network | None = None
    """None: its own, or the host's where there can be none."""
    read_only: bool = False
    init: bool = True

    def given(self) -> dict[str, object]:
        """By the name of the option, for outputs that have no use for it."""
        return {
            "port": self.forwards,
            "volume": self.mounts,
            "env": self.environment,
            "user": self.user,
            "network": self.network,
            "read-only": self.read_only,
            "no-init": not self.init,
        }


def built_container(session: Session, name: str, image: Image) -> Container:
    """The image tree, which the layers hold, its settings, and what runs it.

    Raises UsageError for an image that is for another machine.
    """
    architecture = architecture_of(image)
    if architecture != host_architecture():
        raise UsageError(
            f"cannot run `{name}`: it is for {architecture}, this host is {host_architecture()}"
        )
    planned = plan(session, {name: image}, ("oci",))
    programs = plan_files("containers", session.lock.packages_of(CONTAINERS))
    (layout,) = [one.product.output for one in planned.outputs]
    wanted = [layout, programs, planned.images[name].tree]
    if image.debug_of is not None:
        wanted.append(_debug_layer(session, name, image, wanted[-1]))
    made, crun, *trees = session.make(wanted)
    return Container(
        name=name,
        tree=_joined(session.store, trees),
        programs=crun,
        settings=load_settings(session.store, made, architecture),
    )


def _debug_layer(session: Session, name: str, image: Image, tree: Output) -> Output:
    locked, _ = variant_for_host(name, image)
    tools = plan_trimmed(f"the tools of {name}", session.lock.packages_of(locked))
    return plan_tools(name, tree, tools, epoch=session.epoch(locked))


def _joined(store: Store, trees: Sequence[Digest]) -> Digest:
    """Trees one above the other, as one."""
    below, *above = trees
    for one in above:
        below = store.add_tree(store.load_tree(below).overlaid(store.load_tree(one)))
    return below


def debug_tools(session: Session, image: Image) -> Digest:
    """The tree that a shell brings into a container."""
    name = debug_name(session.project.definition.debian.suite, image)
    packages = session.lock.packages_of(name)
    tools = plan_debug_tools(packages, architecture=architecture_of(image))
    (digest,) = session.make([tools])
    return digest


def wishes_for(
    session: Session, made: Container, options: ContainerOptions, words: Sequence[str]
) -> Wishes:
    """How the container will run `words`; what cannot be as it was asked is noted.

    Raises UsageError for ports that cannot be reached.
    """
    chosen = _network(session, options)
    user = user_of(session.store, made, options.user)
    note_user(session, options.user or made.settings.user)
    return Wishes(
        words=words,
        user=user,
        environment=options.environment,
        mounts=options.mounts,
        network=chosen,
        forwards=_forwards(session, made, options) if chosen == "own" else (),
        read_only=options.read_only,
        init=options.init,
    )


def note_user(session: Session, user: str | None) -> None:
    """Say that the program will not be `user`, where it cannot."""
    if find_identity() == "single" and user not in (None, "", "0", "root"):
        said = "this user has a single id (`osloom doctor`): the program runs as root of a"
        note(session, f"{said} namespace, not as `{user}`")


def _network(session: Session, options: ContainerOptions) -> Network:
    if options.network not in (None, "own"):
        if options.forwards and (options.network == "none" or _moved(options.forwards)):
            raise UsageError(
                f"cannot map ports with `--network {options.network}`",
                hint="leave one of the two out",
            )
        return options.network
    problem = network.problem()
    if problem is None:
        return "own"
    if options.network == "own" or _moved(options.forwards or ()):
        raise UsageError(
            f"cannot give the container a network of its own: {problem}",
            hint="let this user open it, or use the host's: `--network host`",
        )
    note(session, f"{problem}: the container has this host's network")
    return "host"


def _moved(forwards: Sequence[Forward]) -> bool:
    """Whether a port has another number outside: that needs a network inside."""
    return any(one.host != one.guest for one in forwards)


def _forwards(session: Session, made: Container, options: ContainerOptions) -> tuple[Forward, ...]:
    if options.forwards is not None:
        for one in options.forwards:
            if not network.is_free(one):
                raise UsageError(
                    f"cannot listen on port {one.host} of {one.address}",
                    hint=f"it is taken or not for this user: choose another, as 18080:{one.guest}",
                )
        return options.forwards
    found = []
    for port in made.settings.ports:
        forward = Forward(host=port, guest=port)
        if network.is_free(forward):
            note(session, f"port {port} is open at http://{forward.address}:{port}/")
            found.append(forward)
        else:
            note(session, f"port {port} is taken here or not for this user: map it with `--port`")
    return tuple(found)
