"""What most verbs begin with: the project, the store, progress."""

import argparse
import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from osloom.cli.progress import make_progress

if TYPE_CHECKING:
    from osloom.api.project import Project
    from osloom.api.session import Session
    from osloom.model.lock import Lock
    from osloom.store.store import Store


def project_of(arguments: argparse.Namespace) -> "Project":
    from osloom.api.project import open_project
    from osloom.definition.load import find_definition

    given: Path | None = arguments.file
    path = given.absolute() if given else find_definition(Path.cwd())
    return open_project(path)


def store_of(arguments: argparse.Namespace) -> "Store":
    from osloom.api.project import open_store

    given: Path | None = arguments.store
    return open_store(given.absolute() if given else None)


def lock_of(arguments: argparse.Namespace, project: "Project") -> "Lock":
    """The lock, as fresh as the definition. Where there is none yet, it is made."""
    from osloom.api.session import check_fresh

    if not project.lock_path.exists():
        from osloom.api.lock import lock

        with make_progress(arguments.progress) as report:
            lock(project, store_of(arguments), report, now=now())
    found = project.lock()
    check_fresh(project, found)
    return found


@contextlib.contextmanager
def session_of(arguments: argparse.Namespace, project: "Project") -> "Iterator[Session]":
    """A session that shows its progress."""
    from osloom.api.session import Session

    lock = lock_of(arguments, project)
    with (
        make_progress(arguments.progress) as report,
        Session(project, lock, store_of(arguments), report) as session,
    ):
        yield session


def now() -> int:
    """This machine's clock, which only the check of signatures may look at."""
    return int(time.time())  # noqa: TID251
