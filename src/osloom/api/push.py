"""Build images and bring them to a registry."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from osloom.api.build import build
from osloom.api.project import OUTPUT, Project
from osloom.api.session import Session
from osloom.base.digest import Digest
from osloom.base.errors import Error, UsageError
from osloom.fetch.registry.reference import (
    check_repository,
    check_tag,
    parse_address,
    parse_reference,
)
from osloom.fetch.registry.registry import open_registry
from osloom.model.artifact import Artifact
from osloom.model.definition import Image
from osloom.model.providers import Registry
from osloom.release.layout import load_layout
from osloom.release.push import Pushed, Wanted
from osloom.release.push import push as push_layouts


class Destination(msgspec.Struct, frozen=True, kw_only=True):
    """Where images go; what is not given here, the definition says."""

    to: str | None = None
    """What stands before the images' names, or with a tag the one place of one image."""
    tags: tuple[str, ...] = ()
    """More tags."""
    insecure: bool = False
    ca: Path | None = None


class _Target(msgspec.Struct, frozen=True, kw_only=True):
    registry: str
    prefix: str
    repository: str | None = None
    """Of the one image that has a place of its own."""
    tag: str | None = None

    def repository_of(self, name: str) -> str:
        """`name` is what stands behind the address."""
        below = "/".join(part for part in (self.prefix, name) if part)
        return self.repository or check_repository(below)


def push(session: Session, images: Mapping[str, Image], destination: Destination) -> list[Pushed]:
    """Build `images` and bring them to the registry, each under all of its tags.

    Raises UsageError when it is not clear where to, and FetchError when the registry does not take
    them; then no tag has moved, or each that has stands for a whole image.
    """
    target = _target(session.project, tuple(images), destination)
    for tag in destination.tags:
        check_tag(tag)
    directory = session.project.directory / OUTPUT
    made = build(session, images, formats=("oci",))
    wanted = [_wanted(one, images, directory, target, destination.tags) for one in made]
    _check_distinct(wanted, target.registry)
    # What the definition allows, it allows its own registry.
    own = session.project.definition.registry if destination.to is None else Registry()
    authority = session.project.directory / own.ca if own.ca else None
    with open_registry(
        target.registry,
        insecure=destination.insecure or own.insecure,
        ca=destination.ca or authority,
    ) as registry:
        return push_layouts(
            registry,
            wanted,
            siblings=_siblings(session.project, target, wanted),
            report=session.report,
        )


def _target(project: Project, names: Sequence[str], destination: Destination) -> _Target:
    text = destination.to or project.definition.registry.address
    if text is None:
        raise UsageError(
            "cannot tell which registry to push to",
            hint='add `address = "registry.example.com/team"` to `[registry]`, or use `--to`',
        )
    if not _names_tag(text):
        registry, prefix = parse_address(text)
        return _Target(registry=registry, prefix=prefix)
    found = parse_reference(text)
    if found.digest is not None:
        raise UsageError(
            f"cannot push to `{text}`: a digest comes from the content", hint="leave it out"
        )
    if len(names) > 1:
        raise UsageError(
            f"cannot push {len(names)} images to `{text}`",
            hint="name one image, or leave the tag out: the images' names are put behind it",
        )
    return _Target(registry=found.registry, prefix="", repository=found.repository, tag=found.tag)


def _names_tag(text: str) -> bool:
    """A colon in the first part is that of a port."""
    return "@" in text or ":" in text.partition("/")[2]


def _wanted(
    artifact: Artifact,
    images: Mapping[str, Image],
    directory: Path,
    target: _Target,
    more: tuple[str, ...],
) -> Wanted:
    image = images[artifact.image]
    layout = load_layout(directory / artifact.path)
    repository = target.repository_of(_name(artifact.image, image))
    if target.tag is not None:
        tags = (target.tag, *more)
    else:
        if layout.tag is None:
            raise Error(f"cannot push `{artifact.image}`: its layout has no tag")
        tags = (check_tag(layout.tag), *image.oci.tags, *more)
    return Wanted(
        image=artifact.image,
        layout=layout,
        repository=repository,
        tags=tuple(dict.fromkeys(tags)),
    )


def _name(name: str, image: Image) -> str:
    """What stands behind the address; a debug variant is called as the image, and `-debug`."""
    if image.oci.repository is None:
        return name
    return image.oci.repository + (name.removeprefix(image.debug_of) if image.debug_of else "")


def _check_distinct(wanted: Sequence[Wanted], registry: str) -> None:
    """Two images under one tag: the last would win, and no one knows which that is."""
    seen: dict[str, str] = {}
    for one in wanted:
        for tag in one.tags:
            place = f"{registry}/{one.repository}:{tag}"
            other = seen.setdefault(place, one.image)
            if other != one.image:
                raise UsageError(
                    f"cannot push `{other}` and `{one.image}` both to {place}",
                    hint="give one of them another `repository` or `tag` in its `oci` table",
                )


def _siblings(
    project: Project, target: _Target, wanted: Sequence[Wanted]
) -> dict[Digest, list[str]]:
    """Repositories of the project's other images that may have a blob, from what was built."""
    found: dict[Digest, list[str]] = {}
    for repository, blobs in _others(project, target, {one.image for one in wanted}):
        for digest in blobs:
            found.setdefault(digest, []).append(repository)
    return found


def _others(
    project: Project, target: _Target, pushed: set[str]
) -> Iterator[tuple[str, list[Digest]]]:
    if target.repository is not None:
        return
    for name, image in project.definition.image.items():
        directory = project.directory / OUTPUT / name / f"{name}.oci"
        if name in pushed or not directory.is_dir():
            continue
        try:
            layout = load_layout(directory)
        except Error:
            continue  # It was built by another version, or is being written: no loss.
        repository = target.repository_of(_name(name, image))
        yield repository, [blob.digest for blob in layout.content.blobs]
