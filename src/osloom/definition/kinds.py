"""The types of the schema, taken apart: fields, limits, and how people call them.

`model.definition` says everything about a key once, in its type and its docstring. The loader, the
inheritance, the JSON schema and the reference page all read it from there, through this module.
"""

import functools
import types
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from osloom.model.providers import Table


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One key of a table."""

    key: str
    """As the user writes it: `esp-size`."""
    name: str
    """As the class has it: `esp_size`."""
    kind: Any
    is_required: bool
    default: Any
    """None when there is none to tell."""


@functools.cache
def fields(table: type[Table]) -> Mapping[str, Field]:
    """The keys of a table, in the order of the class."""
    hints = get_type_hints(table, include_extras=True)
    return {
        one.encode_name: Field(
            key=one.encode_name,
            name=one.name,
            kind=hints[one.name],
            is_required=one.required,
            default=None if one.default is msgspec.NODEFAULT else one.default,
        )
        for one in msgspec.structs.fields(table)
    }


def is_table(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Table)


def is_union(kind: Any) -> bool:
    return get_origin(kind) in (Union, types.UnionType)


def choices(kind: Any) -> tuple[Any, ...]:
    """The kinds that `kind` allows; None is not one: it only says that a key may be left out."""
    if not is_union(kind):
        return (kind,)
    return tuple(one for one in get_args(kind) if one is not type(None))


def bare(kind: Any) -> Any:
    """`kind` without limits and without None."""
    real = choices(kind)
    if len(real) == 1 and (real[0] is not kind or get_origin(kind) is Annotated):
        return bare(get_args(real[0])[0] if get_origin(real[0]) is Annotated else real[0])
    return kind


def limits(kind: Any) -> tuple[msgspec.Meta, ...]:
    """What is said about `kind` beside its type."""
    real = choices(kind)
    if len(real) != 1 or get_origin(real[0]) is not Annotated:
        return ()
    return tuple(one for one in get_args(real[0])[1:] if isinstance(one, msgspec.Meta))


def said_beside(kind: Any, word: str) -> str | None:
    """What the schema says about `kind` for this program alone; see `model.definition`."""
    for limit in limits(kind):
        if limit.extra is not None and word in limit.extra:
            return str(limit.extra[word])
    return None


def array_kind(kind: Any) -> Any:
    """What an array may hold that stands for the table `kind`; None where none may."""
    short = said_beside(kind, "array")
    return fields(bare(kind))[short].kind if short else None


_WORDS: Mapping[Any, tuple[str, str]] = {
    str: ("a string", "strings"),
    int: ("a number", "numbers"),
    bool: ("true or false", "truth values"),
    float: ("a number with a point", "numbers with a point"),
    dict: ("a table", "tables"),
    list: ("an array", "arrays"),
}


def in_words(kind: Any) -> str:
    """A type as people call it: `an array of strings`."""
    short = array_kind(kind)
    if short is not None:
        return f"{in_words(short)} or {in_words(bare(kind))}"
    kind = bare(kind)
    origin = get_origin(kind)
    if is_union(kind):
        return " or ".join(in_words(one) for one in choices(kind))
    if origin is Literal:
        return listed(get_args(kind))
    if origin is tuple:
        return f"an array of {_in_words_many(get_args(kind)[0])}"
    if origin is dict or is_table(kind):
        return "a table"
    return _WORDS[kind][0] if kind in _WORDS else "a date or time"


def _in_words_many(kind: Any) -> str:
    kind = bare(kind)
    if get_origin(kind) is Literal:
        return listed(get_args(kind))
    if is_union(kind):
        return " or ".join(_in_words_many(one) for one in choices(kind))
    return _WORDS[dict if is_table(kind) else kind][1]


def listed(names: tuple[Any, ...]) -> str:
    """`` `a`, `b` or `c` ``."""
    quoted = [f"`{name}`" for name in names]
    return " or ".join(part for part in (", ".join(quoted[:-1]), quoted[-1]) if part)
