"""Hold raw tables against the schema and say what is wrong in the user's words.

The types of `model.definition` are the schema; this walks them beside the data, so that every
mistake of a file is found at once and each knows its own key path.
"""

import re
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from osloom.base.errors import nearest

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Mistake:
    path: Path
    message: str
    hint: str | None = None


def check(value: Any, kind: Any, path: Path = ()) -> Iterator[Mistake]:
    """Every mistake in `value`, held against the type `kind`."""
    origin = get_origin(kind)
    if origin is Annotated:
        base, *metas = get_args(kind)
        mistakes = list(check(value, base, path))
        yield from mistakes
        if not mistakes:
            yield from _check_limits(value, metas, path)
    elif isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield from _check_table(value, kind, path)
    elif origin in (Union, types.UnionType):
        yield from _check_union(value, get_args(kind), path)
    elif origin is Literal:
        yield from _check_choice(value, get_args(kind), path)
    elif origin is tuple:
        yield from _check_array(value, get_args(kind)[0], kind, path)
    elif origin is dict:
        yield from _check_map(value, kind, path)
    elif not _is_plain(value, kind):
        yield _wrong_type(value, kind, path)


def _is_plain(value: Any, kind: Any) -> bool:
    # In Python a truth value is a number; in a definition it is not.
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _check_table(value: Any, kind: type[msgspec.Struct], path: Path) -> Iterator[Mistake]:
    if not isinstance(value, dict):
        yield _wrong_type(value, kind, path)
        return
    hints = get_type_hints(kind, include_extras=True)
    fields = {one.encode_name: one for one in msgspec.structs.fields(kind)}
    for key, item in value.items():
        if key in fields:
            yield from check(item, hints[fields[key].name], (*path, key))
        else:
            close = nearest(key, list(fields))
            hint = f"did you mean `{close[0]}`?" if close else f"known keys: {', '.join(fields)}"
            yield Mistake((*path, key), f"unknown key `{key}`", hint)
    for name, one in fields.items():
        if one.required and name not in value:
            yield Mistake(path, f"missing key `{name}`", f"add `{name}`")


def _check_union(value: Any, kinds: tuple[Any, ...], path: Path) -> Iterator[Mistake]:
    real = [kind for kind in kinds if kind is not type(None)]
    found = [list(check(value, kind, path)) for kind in real]
    if any(not mistakes for mistakes in found):
        return
    # The alternative that got furthest into the value is what was meant.
    deepest = max(found, key=lambda mistakes: max(len(one.path) for one in mistakes))
    if len(real) == 1 or max(len(one.path) for one in deepest) > len(path):
        yield from deepest
    else:
        yield _wrong_type(value, kinds, path)


def _check_choice(value: Any, choices: tuple[Any, ...], path: Path) -> Iterator[Mistake]:
    if value not in choices:
        close = nearest(str(value), [str(choice) for choice in choices])
        listed = ", ".join(f"`{choice}`" for choice in choices)
        hint = f"did you mean `{close[0]}`?" if close else f"one of {listed}"
        yield Mistake(path, f"`{_named(path)}` cannot be `{value}`: it is one of {listed}", hint)


def _check_array(value: Any, item: Any, kind: Any, path: Path) -> Iterator[Mistake]:
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
        for mistake in check(key, key_kind, (*path, key)):
            yield Mistake((*path, key), mistake.message, mistake.hint)
        yield from check(one, item_kind, (*path, key))


def _check_limits(value: Any, metas: list[Any], path: Path) -> Iterator[Mistake]:
    for meta in metas:
        if not isinstance(meta, msgspec.Meta):
            continue
        if meta.pattern and isinstance(value, str) and not re.search(meta.pattern, value):
            yield Mistake(
                path, f"`{_named(path)}` cannot be `{value}`", f"it has to match `{meta.pattern}`"
            )
        if meta.ge is not None and value < meta.ge:
            yield Mistake(path, f"`{_named(path)}` cannot be {value}", f"at least {meta.ge}")
        if meta.le is not None and value > meta.le:
            yield Mistake(path, f"`{_named(path)}` cannot be {value}", f"at most {meta.le}")
        if meta.min_length is not None and len(value) < meta.min_length:
            yield Mistake(path, f"`{_named(path)}` is empty", "add at least one")


def _wrong_type(value: Any, kind: Any, path: Path) -> Mistake:
    return Mistake(
        path, f"`{_named(path)}` has to be {in_words(kind)}, not {in_words(type(value))}"
    )


def _named(path: Path) -> str:
    names = [part for part in path if isinstance(part, str)]
    return names[-1] if names else "the file"


_WORDS: Mapping[Any, str] = {
    str: "a string",
    int: "a number",
    bool: "true or false",
    float: "a number with a point",
    dict: "a table",
    list: "an array",
}


def in_words(kind: Any) -> str:
    """A type as people call it: `an array of strings`."""
    origin = get_origin(kind)
    if isinstance(kind, tuple) or origin in (Union, types.UnionType):
        kinds = kind if isinstance(kind, tuple) else get_args(kind)
        return " or ".join(in_words(one) for one in kinds if one is not type(None))
    if origin is Annotated:
        return in_words(get_args(kind)[0])
    if origin is Literal:
        return "one of " + ", ".join(f"`{choice}`" for choice in get_args(kind))
    if origin is tuple:
        inner = in_words(get_args(kind)[0])
        return f"an array of {_plural(inner)}"
    if origin is dict or (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        return "a table"
    return _WORDS.get(kind, "a date" if "date" in str(kind) else str(kind))


def _plural(words: str) -> str:
    if words.startswith("one of "):
        return words.removeprefix("one of ")
    return words.removeprefix("a ").removeprefix("an ") + "s"
