"""Hold raw tables against the schema and say what is wrong in the user's words.

The types of `model.definition` are the schema; this walks them beside the data, so that every
mistake of a file is found at once and each knows its own key path.
"""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec

from osloom.base.errors import nearest
from osloom.base.numbers import to_number
from osloom.definition.kinds import (
    array_kind,
    bare,
    choices,
    fields,
    in_words,
    is_table,
    is_union,
    limits,
    listed,
    said_beside,
)
from osloom.model.definition import Definition, Image
from osloom.model.providers import Table

Path = tuple[str | int, ...]


class Mistake(msgspec.Struct, frozen=True):
    path: Path
    """Keys from the top, and places in arrays from 0."""
    message: str
    hint: str | None = None


def check(value: Any, kind: Any, path: Path = ()) -> Iterator[Mistake]:
    """Every mistake in `value`, held against the type `kind`."""
    origin = get_origin(kind)
    short = array_kind(kind)
    if short is not None and not isinstance(value, dict):
        yield from (
            check(value, short, path)
            if isinstance(value, list)
            else [_wrong_type(value, kind, path)]
        )
    elif origin is Annotated:
        mistakes = list(check(value, get_args(kind)[0], path))
        yield from (_with_own_hint(one, kind, path) for one in mistakes)
        if not mistakes:
            yield from _check_limits(value, kind, path)
    elif is_table(kind):
        yield from _check_table(value, kind, path)
    elif is_union(kind):
        yield from _check_union(value, kind, path)
    elif origin is Literal:
        yield from _check_choice(value, get_args(kind), path)
    elif origin is tuple:
        yield from _check_array(value, kind, path)
    elif origin is dict:
        yield from _check_map(value, kind, path)
    elif not _is_plain(value, kind):
        yield _wrong_type(value, kind, path)


def _is_plain(value: Any, kind: Any) -> bool:
    # In Python a truth value is a number; in a definition it is not.
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _check_table(value: Any, kind: type[Table], path: Path) -> Iterator[Mistake]:
    if not isinstance(value, dict):
        yield _wrong_type(value, kind, path)
        return
    known = fields(kind)
    for key, item in value.items():
        if key in known:
            yield from check(item, known[key].kind, (*path, key))
        else:
            yield Mistake((*path, key), f"unknown key `{key}`", _hint_for_key(key, kind))
    for one in known.values():
        if one.is_required and one.key not in value:
            said = f"{named(path)} has no `{one.key}`"
            yield Mistake(path, said, _hint_for_missing(one.key, one.kind))


def _hint_for_key(key: str, kind: type[Table]) -> str:
    known = list(fields(kind))
    underscored = key.replace("_", "-")
    if underscored in known:
        return f"did you mean `{underscored}`?"
    homes = [home for home, table in _tables() if key in fields(table)]
    if homes:
        return f"`{key}` belongs into the table `{homes[0]}`"
    close = nearest(key, known)
    if close:
        return f"did you mean `{close[0]}`?"
    return f"known keys: {', '.join(known)}"


def _tables() -> Iterator[tuple[str, type[Table]]]:
    """The tables a key may have been meant for, the usual ones first."""
    yield "[image.NAME]", Image
    for prefix, table in (("", Definition), ("image.NAME.", Image)):
        for one in fields(table).values():
            inner = bare(one.kind)
            if is_table(inner):
                yield f"[{prefix}{one.key}]", inner


def _hint_for_missing(key: str, kind: Any) -> str:
    if get_origin(bare(kind)) is dict:
        return f"add a table `[{key}.NAME]`"
    return f"add `{key}`, {in_words(kind)}"


def _check_union(value: Any, kind: Any, path: Path) -> Iterator[Mistake]:
    real = choices(kind)
    found = [list(check(value, one, path)) for one in real]
    if not all(found):
        return
    if len(found) == 1:
        yield from found[0]
        return
    # Of the right type but with a mistake inside: that alternative was meant.
    near = [
        mistakes
        for one, mistakes in zip(real, found, strict=True)
        if isinstance(value, dict if is_table(bare(one)) else bare(one))
    ]
    yield from near[0] if near else [_wrong_type(value, kind, path)]


def _check_choice(value: Any, allowed: tuple[Any, ...], path: Path) -> Iterator[Mistake]:
    if value in allowed:
        return
    close = nearest(value, list(allowed)) if isinstance(value, str) else []
    said = f"{named(path)} cannot be {_shown(value)}: it is {listed(allowed)}"
    yield Mistake(path, said, f"did you mean `{close[0]}`?" if close else None)


def _check_array(value: Any, kind: Any, path: Path) -> Iterator[Mistake]:
    item = get_args(kind)[0]
    if not isinstance(value, list):
        yield _wrong_type(value, kind, path)
        return
    for number, one in enumerate(value):
        yield from check(one, item, (*path, number))


def _check_map(value: Any, kind: Any, path: Path) -> Iterator[Mistake]:
    if not isinstance(value, dict):
        yield _wrong_type(value, kind, path)
        return
    key_kind, item_kind = get_args(kind)
    for key, one in value.items():
        for limit in limits(key_kind):
            if not _matches(limit, key):
                said = f"`{key}` cannot be a name in {named(path)}"
                yield Mistake((*path, key), said, _in_limit(limit))
        yield from check(one, item_kind, (*path, key))


def _check_limits(value: Any, kind: Any, path: Path) -> Iterator[Mistake]:
    for limit in limits(kind):
        name = named(path)
        if isinstance(value, str) and not _matches(limit, value):
            shown = "this text" if said_beside(kind, "secret") else _shown(value)
            yield Mistake(path, f"{name} cannot be {shown}", _in_limit(limit))
        elif limit.ge is not None and value < limit.ge:
            yield Mistake(path, f"{name} cannot be {value}", f"it is {limit.ge} or more")
        elif limit.le is not None and value > limit.le:
            yield Mistake(path, f"{name} cannot be {value}", f"it is {limit.le} or less")
        elif limit.min_length is not None and len(value) < limit.min_length:
            hint = f"add a table `[{path[-1]}.NAME]`"
            hint = "write at least one" if isinstance(value, list) else hint
            yield Mistake(path, f"{name} is empty", hint)


def _matches(limit: msgspec.Meta, text: str) -> bool:
    if limit.pattern is None:
        return True
    # `$` also matches before a last newline, which no value of one line may have.
    return re.search(limit.pattern, text) is not None and not (
        limit.pattern.endswith("$") and text.endswith("\n")
    )


def _in_limit(limit: msgspec.Meta) -> str:
    said = f"it is {limit.description}"
    return f"{said}, as in `{limit.examples[0]}`" if limit.examples else said


def _wrong_type(value: Any, kind: Any, path: Path) -> Mistake:
    said = f"{named(path)} has to be {in_words(kind)}, not {_kind_of(value)}"
    return Mistake(path, said, _hint_for_type(value, kind, path))


def _kind_of(value: Any) -> str:
    return "an empty string" if value == "" else in_words(type(value))


def _hint_for_type(value: Any, kind: Any, path: Path) -> str | None:
    wanted = bare(array_kind(kind) or kind)
    if wanted is str and isinstance(value, int | float):
        return f'put it in quotes: `"{str(value).lower()}"`'
    if wanted in (int, bool) and isinstance(value, str) and _is_written(value, wanted):
        return f"leave the quotes out: `{value}`"
    if get_origin(wanted) is tuple and isinstance(value, str) and not _holds_tables(wanted):
        return f'put it in brackets: `["{value}"]`'
    if get_origin(wanted) is tuple and isinstance(value, dict) and _holds_tables(wanted):
        return f"write its header as `[[{_header(path)}]]`"
    if (get_origin(wanted) is dict or is_table(wanted)) and isinstance(value, list):
        return f"write its header as `[{_header(path)}]`"
    return None


def _header(path: Path) -> str:
    return ".".join(key for key in path if isinstance(key, str))


def _holds_tables(kind: Any) -> bool:
    return is_table(bare(get_args(kind)[0]))


def _is_written(text: str, kind: type) -> bool:
    return to_number(text) is not None if kind is int else text in ("true", "false")


def _with_own_hint(mistake: Mistake, kind: Any, path: Path) -> Mistake:
    hint = said_beside(kind, "hint")
    return msgspec.structs.replace(mistake, hint=hint) if hint and mistake.path == path else mistake


def named(path: Path) -> str:
    """A key path as messages call it: `` `packages` ``, `` item 3 of `packages` ``."""
    match path:
        case (*_, str(key)):
            return f"`{key}`"
        case (*_, str(key), int(number)):
            return f"item {number + 1} of `{key}`"
        case _:
            return "the file"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, str | int | float):
        # Nothing that moves a terminal's cursor.
        text = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in str(value))
        return f"`{text}`" if text else "empty"
    return in_words(type(value))
