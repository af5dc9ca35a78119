"""Read `osloom.toml`: text to a complete Definition, or every mistake with its place."""

import os
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from osloom.base.errors import DefinitionError, Where
from osloom.definition.appliances import check_inherited
from osloom.definition.check import Mistake, check
from osloom.definition.compression import check_compression
from osloom.definition.extensions import check_extensions
from osloom.definition.inherit import check_bases, check_parents, complete
from osloom.definition.meaning import check_meaning, check_paths
from osloom.definition.nix import check_nix
from osloom.definition.positions import find
from osloom.definition.shorthand import as_written, expand
from osloom.model.definition import Definition

FILE = "osloom.toml"
_MARK = "\ufeff"
"""The byte order mark that some editors put first; it says nothing in UTF-8."""


def find_definition(start: Path) -> Path:
    """The nearest `osloom.toml`, in `start` or above it."""
    for directory in (start, *start.parents):
        if (directory / FILE).is_file():
            return directory / FILE
    raise DefinitionError(
        f"cannot find {FILE} here or in any directory above",
        hint="run `osloom init` to write one",
    )


def load(path: Path, *, check_files: bool = True) -> Definition:
    """The definition in `path`, complete; the files that it names are there, if they are checked."""
    file = _shown(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        hint = "run `osloom init` to write one"
        raise DefinitionError(f"cannot find {file}", hint=hint) from error
    except OSError as error:
        raise DefinitionError(f"cannot read {file}: {error.strerror}") from error
    directory = path.parent if check_files else None
    return parse(_decode(data, file), file=file, directory=directory)


def parse(text: str, *, file: str, directory: Path | None = None) -> Definition:
    """The definition in `text`, complete: every image has what it inherits.

    The files that it names are looked for in `directory`, if one is given.
    """
    text = text.removeprefix(_MARK)
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _syntax_error(error, text, file) from error
    _raise(list(check(raw, Definition)), text, file)
    expanded = expand(raw)
    images = expanded["image"]
    own = msgspec.convert(expanded, Definition)
    mistakes = [*check_parents(images), *check_meaning(own)]
    if directory is not None:
        mistakes += check_paths(own, directory)
    _raise(_placed(mistakes, raw), text, file)
    _raise(_placed(check_bases(images), raw), text, file)
    whole = msgspec.convert({**expanded, "image": complete(images)}, Definition)
    mistakes = [*check_inherited(whole), *check_nix(whole), *check_extensions(whole)]
    mistakes += check_compression(whole)
    _raise(_placed(mistakes, raw), text, file)
    return whole


def _placed(mistakes: Iterable[Mistake], raw: Mapping[str, Any]) -> list[Mistake]:
    return [msgspec.structs.replace(one, path=as_written(one.path, raw)) for one in mistakes]


def _shown(path: Path) -> str:
    """The path as an editor and a person find it: from here, if it is below."""
    here = Path.cwd()
    return os.fspath(path.relative_to(here) if path.is_relative_to(here) else path)


def _decode(data: bytes, file: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line = before[before.rfind(b"\n") + 1 :].decode()
        where = Where(file=file, line=before.count(b"\n") + 1, column=len(line) + 1)
        raise DefinitionError(
            f"cannot read {file}: byte {data[error.start]:#04x} is not UTF-8",
            where=where,
            hint="save the file as UTF-8",
        ) from error


def _syntax_error(error: tomllib.TOMLDecodeError, text: str, file: str) -> DefinitionError:
    message, _, place = str(error).rpartition(" (at ")
    found = re.match(r"line (\d+), column (\d+)", place)
    if found:
        where = Where(file=file, line=int(found[1]), column=int(found[2]))
    else:
        last = text.rstrip("\n").rpartition("\n")[2]
        where = Where(file=file, line=text.rstrip("\n").count("\n") + 1, column=len(last) + 1)
    said = message or str(error)
    return DefinitionError(
        f"cannot read {file}: {said[:1].lower()}{said[1:]}", where=where, hint=_syntax_hint(said)
    )


def _syntax_hint(message: str) -> str | None:
    """The mend, for what tomllib says without naming it."""
    if message == "Invalid value":
        return 'a text has to be in quotes: `key = "value"`'
    if message.startswith(("Cannot declare", "Cannot overwrite")):
        return "a table or key may be there only once: join the two"
    return None


def _raise(mistakes: Sequence[Mistake], text: str, file: str) -> None:
    """Raise the first mistake of the file, with the others listed below it."""
    if not mistakes:
        return
    placed = [(find(text, one.path) or (1, 1), one) for one in mistakes]
    placed.sort(key=lambda pair: pair[0])
    (line, column), first = placed[0]
    others = [
        f"{file}:{line}:{column}: {one.message}" + (f" ({one.hint})" if one.hint else "")
        for (line, column), one in placed[1:]
    ]
    raise DefinitionError(
        first.message,
        where=Where(file=file, line=line, column=column),
        hint=first.hint,
        detail="\n".join(["also wrong:", *others] if others else []),
    )
