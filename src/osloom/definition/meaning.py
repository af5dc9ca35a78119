"""What types cannot say: keys that exclude each other, names that must be there, files on disk.

Looks at each image as it was written, before `from` is followed: so a mistake is told once, and
where it stands.
"""

import posixpath
from collections.abc import Callable, Iterator
from pathlib import Path

from osloom.definition.appliances import check_appliances
from osloom.definition.check import Mistake
from osloom.definition.check import Path as KeyPath
from osloom.definition.containers import check_container
from osloom.definition.keys import check_keys, check_source, private_keys
from osloom.definition.meaning_of_tests import check_tests
from osloom.definition.updates import check_update
from osloom.model.definition import Definition, File, Image, User
from osloom.model.providers import Debian

_CONTENT = ("source", "text", "link", "directory")
_OWN_REPOSITORIES = ("debian", "debian-security")


def check_meaning(definition: Definition) -> Iterator[Mistake]:
    """Every mistake that the text alone shows."""
    yield from _check_repositories(definition.debian)
    yield from check_appliances(definition)
    yield from check_keys(definition.keys)
    for name, image in definition.image.items():
        path = ("image", name)
        yield from _check_files(image, (*path, "files"))
        yield from _check_scripts(image, path)
        yield from check_tests(image, path)
        yield from _check_outputs(image, path)
        yield from check_container(image, path)
        yield from check_update(image, path)
        yield from _check_users(image, (*path, "users"))
        for number, place in enumerate(image.remove):
            yield from _check_place(place, (*path, "remove", number))


def _check_repositories(debian: Debian) -> Iterator[Mistake]:
    names = [*_OWN_REPOSITORIES]
    for number, one in enumerate(debian.repository):
        if one.name in names:
            path = ("debian", "repository", number, "name")
            yield Mistake(path, f"the name `{one.name}` is taken", "give it a name of its own")
        names.append(one.name)


def _check_files(image: Image, path: KeyPath) -> Iterator[Mistake]:
    seen: dict[str, str] = {}
    for place, file in image.files.items():
        yield from _check_place(place, (*path, place))
        plain = _normal(place)
        if plain in seen:
            said = f"`{place}` and `{seen[plain]}` are the same path"
            yield Mistake((*path, place), said, "keep one of them")
        seen[plain] = place
        if isinstance(file, File):
            yield from _check_content(file, (*path, place))


def _check_place(place: str, path: KeyPath) -> Iterator[Mistake]:
    if ".." in place.split("/"):
        yield Mistake(path, f"`{place}` must not have `..` in it", "write the path it leads to")
    elif _normal(place) == "/" and path[-2:-1] == ("remove",):
        yield Mistake(path, f"`{place}` is the whole image", "name what is to go")


def _normal(place: str) -> str:
    # Two slashes at the start are a path of their own in POSIX; not in an image.
    return posixpath.normpath("/" + place.lstrip("/"))


def _check_content(file: File, path: KeyPath) -> Iterator[Mistake]:
    given = [key for key in _CONTENT if getattr(file, key) not in (None, False)]
    if len(given) == 1:
        return
    if given:
        said = f"the file `{path[-1]}` has {' and '.join(f'`{key}`' for key in given)}"
        yield Mistake(path, said, "keep one of them")
    else:
        hint = "give one of `source`, `text`, `link` and `directory = true`"
        yield Mistake(path, f"the file `{path[-1]}` has no content", hint)


def _check_scripts(image: Image, path: KeyPath) -> Iterator[Mistake]:
    for number, one in enumerate(image.script):
        if not one.run.strip():
            place = (*path, "script", number, "run")
            yield Mistake(place, "the script is empty", "say what to run")


def _check_outputs(image: Image, path: KeyPath) -> Iterator[Mistake]:
    for number, name in enumerate(image.outputs):
        if name in image.outputs[:number]:
            yield Mistake((*path, "outputs", number), f"`{name}` is there twice", "keep one")


def _check_users(image: Image, path: KeyPath) -> Iterator[Mistake]:
    seen: dict[int, str] = {}
    for name, user in image.users.items():
        if user.uid is not None and user.uid in seen:
            said = f"`{name}` and `{seen[user.uid]}` have the same number {user.uid}"
            yield Mistake((*path, name, "uid"), said, "give it another one, or leave it out")
        if user.uid is not None:
            seen[user.uid] = name
        yield from _check_fields(user, (*path, name))


def _check_fields(user: User, path: KeyPath) -> Iterator[Mistake]:
    """passwd(5) has no way to write a colon."""
    for key, value in (("comment", user.comment), ("home", user.home), ("shell", user.shell)):
        if value and set(value) & {":", "\n"}:
            yield Mistake((*path, key), f"`{key}` must not have a colon in it", "leave it out")


def check_paths(definition: Definition, directory: Path) -> Iterator[Mistake]:
    """Every path of the definition that is not there, or not in `directory`."""
    debian = definition.debian
    if debian.keyring is not None:
        yield from _check_key(debian.keyring, directory, ("debian", "keyring"))
    for number, one in enumerate(debian.repository):
        yield from _check_key(one.key, directory, ("debian", "repository", number, "key"))
    authority = definition.registry.ca
    if authority is not None and not _holds(authority, (directory / authority).is_file):
        said, hint = f"cannot find the file `{authority}`", "paths start beside the definition"
        yield Mistake(("registry", "ca"), said, hint)
    private = private_keys(definition, directory)
    for name, image in definition.image.items():
        yield from _check_layout(image, directory, ("image", name, "from"))
        for place, file in image.files.items():
            path: KeyPath = ("image", name, "files", place)
            source = file if isinstance(file, str) else file.source
            path = path if isinstance(file, str) else (*path, "source")
            if source is not None:
                mistakes = list(_check_source(source, directory, path))
                yield from mistakes or check_source(directory / source, private, path)


def _check_key(key: str, directory: Path, path: KeyPath) -> Iterator[Mistake]:
    # Outside the project is fine: a key decides what may come in, not what comes out.
    if not _holds(key, (directory / key).is_file):
        yield Mistake(path, f"cannot find the key `{key}`", "paths start beside the definition")


def _check_layout(image: Image, directory: Path, path: KeyPath) -> Iterator[Mistake]:
    # Outside the project is fine, as for keys: its digest is locked.
    kind, _, layout = (image.from_ or "").partition(":")
    if kind == "oci-layout" and not _holds(layout, (directory / layout / "index.json").is_file):
        hint = "paths start beside the definition, and a layout has a file `index.json`"
        yield Mistake(path, f"cannot find the image layout `{layout}`", hint)


def _check_source(source: str, directory: Path, path: KeyPath) -> Iterator[Mistake]:
    inside = directory.resolve()
    if Path(source).is_absolute() or not _holds(
        source, lambda: (directory / source).resolve().is_relative_to(inside)
    ):
        hint = "copy it beside the definition: a build must not depend on the rest of the host"
        yield Mistake(path, f"the source `{source}` is outside the project", hint)
    elif not _holds(source, (directory / source).exists):
        hint = "paths start beside the definition"
        yield Mistake(path, f"cannot find the source `{source}`", hint)


def _holds(path: str, question: Callable[[], bool]) -> bool:
    """The answer; no for what no system can have as a path, or links in a circle."""
    try:
        return bool(path) and "\0" not in path and question()
    except (OSError, RuntimeError):
        return False
