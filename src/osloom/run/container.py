"""Run a command in a container image: its tree under the sandbox, with its own settings."""

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from osloom.base.digest import Digest
from osloom.base.errors import UsageError
from osloom.engine.foreground import Foreground
from osloom.engine.sandbox import SESSION, Request, run_for_person, run_in_sandbox
from osloom.model.definition import Oci
from osloom.model.user import Identity, find_user
from osloom.run.agent import Answer
from osloom.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """What to run in."""

    tree: Digest
    tools: Digest
    fakeroot: Digest
    settings: Oci
    epoch: int


def run_command(
    store: Store, container: Container, command: str, work: Path, *, timeout: int
) -> Answer:
    """Run shell text, or a program when the image has no shell; changes are forgotten."""
    tree = store.load_tree(container.tree)
    if tree.resolve("bin/sh") in tree:
        words = ["/bin/sh", "-e", f"{SESSION}/command"]
    else:
        words = shlex.split(command)
    request = msgspec.structs.replace(
        _request(store, container, words, work), files={"command": command}, timeout=timeout
    )
    response, _ = run_in_sandbox(store, request)
    return Answer(status=response.status, output=response.output)


def program_of(settings: Oci, arguments: Sequence[str]) -> tuple[str, ...]:
    """The entrypoint with `arguments`, or with the image's own. Raises UsageError if empty."""
    words = (*settings.entrypoint, *(arguments or settings.command))
    if not words:
        raise UsageError(
            "cannot run the container: it has neither `entrypoint` nor `command`",
            hint="say what to run: `osloom run IMAGE -- /bin/sh`",
        )
    return words


def user_of(store: Store, container: Container) -> Identity:
    """Who the image says its program runs as."""
    tree = store.load_tree(container.tree)

    def read(path: str) -> str:
        node = tree.get(tree.resolve(path))
        data = store.blobs.read(node.digest) if node and node.digest else b""
        return data.decode(errors="surrogateescape")

    return find_user(container.settings.user, passwd=read("etc/passwd"), group=read("etc/group"))


def start(
    store: Store, container: Container, who: Identity, words: Sequence[str], work: Path
) -> int:
    """Run a program in the foreground; gives its exit status. What it writes is forgotten."""
    request = _request(store, container, words, work)
    own = {"HOME": who.home}
    if os.isatty(0) and "TERM" in os.environ:
        own["TERM"] = os.environ["TERM"]
    return run_for_person(
        store,
        msgspec.structs.replace(
            request,
            environment=own | request.environment,
            foreground=Foreground(uid=who.uid, gid=who.gid, groups=who.groups),
        ),
    )


def _request(store: Store, container: Container, words: Sequence[str], work: Path) -> Request:
    settings = container.settings
    return Request(
        base=container.tree,
        tools=container.tools,
        fakeroot=container.fakeroot,
        command=tuple(words),
        environment=dict(settings.env),
        epoch=container.epoch,
        directory=settings.working_directory or "/",
        store=str(store.root),
        work=str(work),
    )
