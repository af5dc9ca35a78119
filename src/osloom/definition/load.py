"""Read `osloom.toml`: text to a complete Definition, or every mistake with its place."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from osloom.base.errors import DefinitionError, Where
from osloom.definition.check import Mistake, check
from osloom.definition.inherit import InheritanceError, complete
from osloom.definition.positions import find
from osloom.model.definition import Definition, File, Image

FILE = "osloom.toml"


def find_definition(start: Path) -> Path:
    """The nearest `osloom.toml`, in `start` or above it."""
    for directory in (start, *start.parents):
        if (directory / FILE).is_file():
            return directory / FILE
    raise DefinitionError(
        f"cannot find {FILE} here or in any directory above",
        hint="run `osloom init` to write one",
    )


def load(path: Path) -> Definition:
    """The definition in `path`, with files it names checked to be there."""
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise DefinitionError(f"cannot find {path}", hint="run `osloom init`") from error
    except OSError as error:
        raise DefinitionError(f"cannot read {path}: {error.strerror}") from error
    text = _decode(data, path.name)
    definition = parse(text, file=path.name)
    _raise(list(_check_sources(definition, path.parent)), text, path.name)
    return definition


def parse(text: str, *, file: str) -> Definition:
    """The definition in `text`, complete: every image has what it inherits."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _syntax_error(error, text, file) from error
    _raise(list(check(raw, Definition)), text, file)
    try:
        raw = {**raw, "image": complete(raw["image"])}
    except InheritanceError as error:
        path = ("image", error.image, "from")
        _raise([Mistake(path, error.message, error.hint)], text, file)
    definition = msgspec.convert(raw, Definition)
    _raise(list(_check_meaning(definition)), text, file)
    return definition


def _decode(data: bytes, file: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start]
        where = Where(
            file=file, line=before.count(b"\n") + 1, column=error.start - before.rfind(b"\n")
        )
        raise DefinitionError(
            f"cannot read {file}: byte {data[error.start]:#04x} is not UTF-8",
            where=where,
            hint="save the file as UTF-8",
        ) from error


def _syntax_error(error: tomllib.TOMLDecodeError, text: str, file: str) -> DefinitionError:
    import re

    message, _, place = str(error).rpartition(" (at ")
    found = re.match(r"line (\d+), column (\d+)", place)
    if found:
        where = Where(file=file, line=int(found[1]), column=int(found[2]))
    else:
        where = Where(file=file, line=text.count("\n") + 1)
    said = message or str(error)
    return DefinitionError(f"cannot read TOML: {said[:1].lower()}{said[1:]}", where=where)


def _raise(mistakes: Sequence[Mistake], text: str, file: str) -> None:
    """Raise the first mistake, with the others listed below it."""
    if not mistakes:
        return
    first, *rest = [(_where(one, text, file), one) for one in mistakes]
    lines = [
        f"{where}: {one.message}" + (f" ({one.hint})" if one.hint else "") for where, one in rest
    ]
    raise DefinitionError(
        first[1].message, where=first[0], hint=first[1].hint, detail="\n".join(lines)
    )


def _where(mistake: Mistake, text: str, file: str) -> Where:
    place = find(text, mistake.path)
    return Where(file=file, line=place[0], column=place[1]) if place else Where(file=file)


def _check_meaning(definition: Definition) -> Any:
    """What types cannot say."""
    for name, image in definition.image.items():
        for path, file in image.files.items():
            if isinstance(file, File):
                yield from _check_file(("image", name, "files", path), file)
        for number, script in enumerate(image.script):
            if not script.run.strip():
                yield Mistake(("image", name, "script", number, "run"), "the script is empty")


def _check_file(path: tuple[str | int, ...], file: File) -> Any:
    given = [
        key
        for key in ("source", "text", "link", "directory")
        if getattr(file, key) not in (None, False)
    ]
    if len(given) != 1:
        said = f"has {' and '.join(f'`{key}`' for key in given)}" if given else "has no content"
        yield Mistake(
            path, f"the file `{path[-1]}` {said}", "give one of source, text, link, directory"
        )


def _check_sources(definition: Definition, directory: Path) -> Any:
    for name, image in definition.image.items():
        for path, source in _sources(image):
            place = ("image", name, "files", path)
            whole = (directory / source).resolve()
            if Path(source).is_absolute() or not whole.is_relative_to(directory.resolve()):
                yield Mistake(
                    place,
                    f"the source `{source}` is outside the project",
                    "copy it beside the definition: a build must not depend on the rest of the host",
                )
            elif not (directory / source).exists():
                yield Mistake(place, f"cannot find the source `{source}`")


def _sources(image: Image) -> Any:
    for path, file in image.files.items():
        source = file if isinstance(file, str) else file.source
        if source is not None:
            yield path, source
