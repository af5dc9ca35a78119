"""Containers of an image: what a person starts, and what tests start."""

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from osloom.base.digest import Digest
from osloom.base.errors import UsageError, nearest
from osloom.base.foreground import has_terminal
from osloom.engine.identity import COUNT, find_identity
from osloom.model.search_path import PATH, is_program, places
from osloom.model.tree import Tree
from osloom.model.user import Identity, find_user
from osloom.run import network, runtime
from osloom.run.agent import Answer
from osloom.run.bundle import INIT, Bundle, Mount, configuration
from osloom.run.http_check import HttpCheck
from osloom.run.machine import Forward
from osloom.run.runtime import HOST_FILES, Network, Request
from osloom.run.settings import Settings
from osloom.store.store import Store

DEBUG = "/.osloom"
"""Where the debug tools are in a container (`compose.relocate`)."""

_SHOWN = 5
"""Programs, at most, that a hint names."""
_ROOT = Identity(uid=0, gid=0, home="/root")
_CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"


class Container(msgspec.Struct, frozen=True, kw_only=True):
    """What a container is made of."""

    name: str
    tree: Digest
    """The image's."""
    programs: Digest
    """crun and what it needs."""
    settings: Settings


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """How it shall run where that is not what the image says."""

    words: Sequence[str]
    user: Identity = _ROOT
    environment: Mapping[str, str] = {}
    mounts: Sequence[Mount] = ()
    network: Network = "none"
    forwards: Sequence[Forward] = ()
    read_only: bool = False
    capabilities: bool = True
    debug: Digest | None = None
    """The debug tools, to be mounted."""
    init: bool = True
    """Start it by a process that passes signals on and waits for orphans, as docker's `--init`."""


def user_of(store: Store, container: Container, given: str | None = None) -> Identity:
    """Who the image says its program runs as, or who `given` is in the image.

    Root where the user namespace will have a single id.
    """
    tree = store.load_tree(container.tree)

    def read(path: str) -> str:
        node = tree.get(tree.resolve(path))
        if node is not None and node.kind == "hardlink":
            node = tree[node.target]
        data = store.blobs.read(node.digest) if node and node.digest else b""
        return data.decode(errors="surrogateescape")

    text = container.settings.user if given is None else given
    found = find_user(text, passwd=read("etc/passwd"), group=read("etc/group"))
    if find_identity() == "single":
        return msgspec.structs.replace(found, uid=0, gid=0, groups=())
    if max(found.uid, found.gid, *found.groups) >= COUNT:
        raise UsageError(
            f"cannot run as {found}: a container has the user ids below {COUNT}",
            hint="run it as another with `--user`",
        )
    return found


def start(store: Store, container: Container, wishes: Wishes, work: Path) -> int:
    """Run it in the foreground; gives its exit status. What it writes is forgotten."""
    terminal = os.get_terminal_size(1) if has_terminal() and os.isatty(1) else None
    if os.isatty(0) and "TERM" in os.environ:
        own = {"TERM": os.environ["TERM"], **wishes.environment}
        wishes = msgspec.structs.replace(wishes, environment=own)
    return runtime.run_for_person(
        store, _request(store, container, wishes, work, terminal=terminal)
    )


def run_command(
    store: Store, container: Container, wishes: Wishes, work: Path, *, timeout: int
) -> Answer:
    """Run it to its end, at most `timeout` seconds: then the status is 124."""
    answer, _ = runtime.run_to_end(store, _request(store, container, wishes, work), timeout=timeout)
    return answer


def run_http_check(
    store: Store, container: Container, wishes: Wishes, work: Path, check: HttpCheck
) -> tuple[str, str]:
    """Start it and ask: why the check failed, or empty text, and what the program said."""
    request = _request(store, container, wishes, work, http=check)
    # The check keeps its own time; this one is for a program that cannot be ended.
    answer, response = runtime.run_to_end(store, request, timeout=check.timeout + 60)
    failed = "the check did not come to its end" if response.failed is None else response.failed
    return failed, answer.output


def shell_words(store: Store, container: Container, text: str) -> list[str]:
    """Shell text as a command; as a program and its arguments when the image has no shell.

    Raises UsageError for text that only a shell could run.
    """
    tree = store.load_tree(container.tree)
    if tree.resolve("bin/sh") in tree:
        return ["/bin/sh", "-e", "-c", text]
    try:
        program, *arguments = shlex.split(text)
    except ValueError as error:
        raise _without_shell(text) from error
    if not _is_there(program, tree, container.settings, container.settings.environment):
        raise _without_shell(program)
    return [program, *arguments]


def _without_shell(what: str) -> UsageError:
    return UsageError(
        f"cannot run `{what}`: the image has no shell, and no such program",
        hint="a `file` test looks at what is in the image and runs nothing",
    )


class MissingError(UsageError):
    """A program that the image does not have."""

    exit_code = 127
    """As a shell has it, POSIX.1-2024, XCU 2.8.2."""


def check_program(store: Store, container: Container, wishes: Wishes) -> None:
    """Raises MissingError where the program that it shall run is not there."""
    program, *_ = wishes.words
    tree = store.load_tree(container.tree)
    environment = {**container.settings.environment, **wishes.environment}
    # What is mounted is the host's.
    if wishes.mounts or _is_there(program, tree, container.settings, environment):
        return
    directories = environment.get("PATH", PATH).split(":")
    names = [
        path.rpartition("/")[2]
        for path in tree
        if f"/{path.rpartition('/')[0]}" in directories and is_program(tree, path)
    ]
    close = nearest(program.rpartition("/")[2], names)
    hint = f"did you mean `{close[0]}`?" if close else None
    if not container.settings.entrypoint and names:
        some = ", ".join(f"`{one}`" for one in sorted(names)[:_SHOWN])
        hint = hint or f"it has no entrypoint: name a program, as {some}"
    raise MissingError(f"cannot run `{program}`: the image has no such program", hint=hint)


def _is_there(program: str, tree: Tree, settings: Settings, environment: Mapping[str, str]) -> bool:
    path = environment.get("PATH", PATH)
    tried = places(program, path=path, directory=settings.working_dir or "")
    return any(is_program(tree, place) for place in tried)


def debug_environment(store: Store, container: Container) -> dict[str, str]:
    """What the debug tools need to be found and to find their own files; nothing of the image's
    own programs looks at it but at PATH, to which they are added at the end."""
    tree = store.load_tree(container.tree)
    path = container.settings.environment.get("PATH", PATH)
    own = {
        "PATH": f"{path}:{DEBUG}/usr/sbin:{DEBUG}/usr/bin",
        "TERMINFO_DIRS": ":".join(
            f"{root}/{place}/terminfo"
            for root in ("", DEBUG)
            for place in ("etc", "lib", "usr/lib", "usr/share")
        ),
    }
    if tree.resolve(_CERTIFICATES) not in tree:
        own["CURL_CA_BUNDLE"] = f"{DEBUG}/{_CERTIFICATES}"
    return own


def parse_volume(text: str) -> Mount:
    """`HOST:CONTAINER` or `HOST:CONTAINER:ro`. Raises UsageError for anything else."""
    source, _, rest = text.partition(":")
    destination, _, mode = rest.partition(":")
    if not source or not destination.startswith("/") or mode not in ("", "ro", "rw"):
        raise UsageError(
            f"cannot read the volume `{text}`", hint="write it as ./data:/srv/data, or with `:ro`"
        )
    path = Path(source).expanduser().absolute()
    if not path.exists():
        raise UsageError(f"cannot mount {path}: there is nothing", hint="make the directory first")
    return Mount(source=os.fspath(path), destination=destination, read_only=mode == "ro")


def _request(
    store: Store,
    container: Container,
    wishes: Wishes,
    work: Path,
    *,
    terminal: tuple[int, int] | None = None,
    http: HttpCheck | None = None,
) -> Request:
    settings, tree = container.settings, store.load_tree(container.tree)
    bundle = runtime.places(work).bundle
    root = bundle / "merged"
    volumes = {_absolute(path): tree.resolve(path) for path in settings.volumes or ()}
    directory = _absolute(settings.working_dir or "")
    names = network.names(wishes.network, container.name)
    files = dict(zip(HOST_FILES, (names.hosts, f"{container.name}\n", names.resolver), strict=True))
    mounts = [Mount(source=os.fspath(bundle / name), destination=f"/etc/{name}") for name in files]
    if wishes.read_only:
        # A mount of its own stays writable, and has what the image put there.
        mounts += [
            Mount(source=os.fspath(root / place), destination=path)
            for path, place in volumes.items()
        ]
    mounts += wishes.mounts
    words = list(wishes.words)
    if wishes.init:
        source = store.checkout(container.programs) / "usr/bin/catatonit"
        mounts.append(Mount(source=os.fspath(source), destination=INIT, read_only=True))
        words = [INIT, "--", *words]
    if wishes.debug is not None:
        source = store.checkout(wishes.debug)
        mounts.append(Mount(source=os.fspath(source), destination=DEBUG, read_only=True))
    environment = {"PATH": PATH, "HOME": wishes.user.home, **settings.environment}
    return Request(
        base=container.tree,
        programs=container.programs,
        mounted=(wishes.debug,) if wishes.debug else (),
        configuration=configuration(
            Bundle(
                root=os.fspath(root),
                words=words,
                user=wishes.user,
                environment={**environment, **wishes.environment},
                directory=directory,
                hostname=container.name,
                mounts=mounts,
                terminal=terminal,
                read_only=wishes.read_only,
                capabilities=wishes.capabilities,
                many_ids=find_identity() != "single",
            )
        ),
        directories=_missing(tree, [directory, *volumes]),
        files=files,
        network=wishes.network,
        forwards=tuple(wishes.forwards),
        http=http,
        store=str(store.root),
        work=str(work),
    )


def _absolute(path: str) -> str:
    return f"/{path.lstrip('/')}"


def _missing(tree: Tree, paths: Sequence[str]) -> tuple[str, ...]:
    """Those that are not in the image, as container engines make them; without links."""
    resolved = (tree.resolve(path) for path in paths)
    return tuple(path for path in resolved if path and path not in tree)
