"""Build images and hand them to podman or docker, or write them as archives."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from osloom.api.build import build
from osloom.api.project import OUTPUT
from osloom.api.requests import host_architecture
from osloom.api.session import Session
from osloom.base.digest import Digest
from osloom.base.errors import Error, UsageError
from osloom.base.files import replacing
from osloom.model.definition import Image
from osloom.release.archive import Named, docker_archive, oci_archive
from osloom.release.layout import load_layout
from osloom.release.load import DOCKER, PODMAN, find_engine, load_archive

DOCKER_ARCHIVE = "docker-archive"
OCI_ARCHIVE = "oci-archive"


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """One image, and where it is now."""

    image: str
    digest: Digest
    """Of the manifest or index."""
    name: str
    """`localhost/app:7` in podman, `app:7` in docker and in archives."""
    into: str
    """`podman`, `docker`, or a file."""


def load(session: Session, images: Mapping[str, Image], into: str | None) -> list[Loaded]:
    """Build `images` and load them; `into` is the first engine that listens by default.

    Raises UsageError when `into` is nothing that is known or not there, Error when it refuses.
    """
    kind, engine, place = _where(into, len(images))
    made = build(session, images, formats=("oci",))
    named = []
    rows = []
    for one in made:
        layout = load_layout(session.project.directory / OUTPUT / one.path)
        name = f"{one.image}:{layout.tag or 'latest'}"
        # What podman puts before a name without a registry; docker shows it without.
        name = f"localhost/{name}" if kind == PODMAN else name
        named.append(Named(layout=layout, names=(name,)))
        shown = str(place) if engine is None else engine
        rows.append(
            Loaded(image=one.image, digest=layout.content.root.digest, name=name, into=shown)
        )
    if engine is not None:
        load_archive(engine, place, docker_archive(named, host_architecture()))
    elif kind == DOCKER_ARCHIVE:
        _write(place, docker_archive(named, host_architecture()))
    else:
        _write(place, oci_archive(named[0].layout))
    return rows


def _where(into: str | None, count: int) -> tuple[str, str | None, Path]:
    """What to write, the engine that takes it if there is one, and its socket or the file."""
    kind, colon, file = (into or "").partition(":")
    if into is None or (into in (PODMAN, DOCKER)):
        engine, socket = find_engine(into, os.environ)
        return engine, engine, socket
    if kind not in (DOCKER_ARCHIVE, OCI_ARCHIVE) or not (colon and file):
        raise UsageError(
            f"cannot load into `{into}`",
            hint="there are: podman, docker, docker-archive:FILE, oci-archive:FILE",
        )
    if kind == OCI_ARCHIVE and count > 1:
        raise UsageError(
            f"cannot write {count} images to one OCI archive",
            hint="name one image, or use `docker-archive:FILE`",
        )
    return kind, None, Path(file)


def _write(path: Path, chunks: Iterator[bytes]) -> None:
    try:
        with replacing(path, sync=False) as file:
            for chunk in chunks:
                file.write(chunk)
    except OSError as error:
        raise Error(f"cannot write {path}: {error.strerror}") from error
