"""Run a command in a container image: its tree under the sandbox, with its own settings."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from osloom.base.digest import Digest
from osloom.engine.sandbox import SESSION, Request, run_in_sandbox
from osloom.model.definition import Oci
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
    timeout: int


def run_command(store: Store, container: Container, command: str, work: Path) -> Answer:
    """Run shell text, or a program when the image has no shell; changes are forgotten."""
    tree = store.load_tree(container.tree)
    settings = container.settings
    if tree.resolve("bin/sh") in tree:
        words = ["/bin/sh", "-e", f"{SESSION}/command"]
    else:
        words = shlex.split(command)
    response, _ = run_in_sandbox(
        store,
        Request(
            base=container.tree,
            tools=container.tools,
            fakeroot=container.fakeroot,
            command=tuple(words),
            files={"command": command},
            environment=dict(settings.env),
            epoch=container.epoch,
            directory=settings.working_directory or "/",
            timeout=container.timeout,
            store=str(store.root),
            work=str(work),
        ),
    )
    return Answer(status=response.status, output=response.output)
