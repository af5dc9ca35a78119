"""Which images a change touches: their definition, what is locked for them, or their files."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from osloom.api import git
from osloom.api.project import LOCKFILE, Project
from osloom.api.requests import needed_by
from osloom.api.touched import touched
from osloom.base.errors import DefinitionError, LockError
from osloom.definition.load import parse
from osloom.model.closure import StorePath
from osloom.model.definition import Definition, Image
from osloom.model.lock import Base, Lock, Package
from osloom.sources.debian import lockfile


class _Locked(msgspec.Struct, frozen=True, kw_only=True):
    """What the lock has of one image, as far as it decides the image's bytes."""

    packages: tuple[Package, ...]
    base: Base | None
    closure: tuple[StorePath, ...]
    installables: Mapping[str, tuple[str, ...]]


def changed(project: Project, lock: Lock, revision: str) -> dict[str, Image]:
    """The images with outputs that are not what they were in `revision`.

    All of them when that revision has no definition or lock, or none that this osloom can read.
    """
    images = {name: one for name, one in project.definition.image.items() if one.outputs}
    sources = {name: _sources(image, project) for name, image in images.items()}
    others = touched(project.directory, frozenset[Path]().union(*sources.values()), revision)
    before = _before(project, revision)
    if before is None:
        return images
    definition, old = before
    now = project.definition
    return {
        name: image
        for name, image in images.items()
        if (definition.project, definition.image.get(name)) != (now.project, image)
        or any(definition.image.get(one) != now.image[one] for one in _others(image))
        or _locked(definition, old, name) != _locked(now, lock, name)
        or not others.isdisjoint(sources[name])
    }


def _others(image: Image) -> tuple[str, ...]:
    """The images that decide what it is, beside itself."""
    return tuple(one for one in (image.debug_of, image.extends) if one is not None)


def _before(project: Project, revision: str) -> tuple[Definition, Lock] | None:
    text = git.file_at(project.directory, revision, project.path.name)
    locked = git.file_at(project.directory, revision, LOCKFILE)
    if text is None or locked is None:
        return None
    try:
        return parse(text.decode(), file=revision), lockfile.parse(locked, file=revision)
    except (DefinitionError, LockError, UnicodeDecodeError):
        return None


def _locked(definition: Definition, lock: Lock, name: str) -> Mapping[str, _Locked]:
    """What goes into the image and what makes it."""
    needed = needed_by(definition, name)
    return {one: _of_image(lock, one) for one in needed if one in lock.images}


def _of_image(lock: Lock, name: str) -> _Locked:
    base = lock.base_of(name)
    return _Locked(
        packages=lock.packages_of(name),
        # A list that changed for other platforms is no change of this one.
        base=msgspec.structs.replace(base, index=None) if base else None,
        # Nor is another cache that has the same path.
        closure=tuple(msgspec.structs.replace(one, caches=()) for one in lock.closure_of(name)),
        installables=lock.images[name].installables,
    )


def _sources(image: Image, project: Project) -> frozenset[Path]:
    """The definition's own files and directories that go into the image."""
    images = [image, *(project.definition.image[one] for one in _others(image))]
    files = [file for one in images for file in one.files.values()]
    named = [file if isinstance(file, str) else file.source for file in files]
    return frozenset(project.directory / source for source in named if source is not None)
