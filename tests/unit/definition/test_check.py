"""The loader's own check and msgspec's agree: what has no mistake converts, the rest does not."""

from typing import Any, Literal, get_args, get_origin

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from osloom.definition.check import check
from osloom.definition.kinds import bare, choices, fields, is_table, is_union, limits
from osloom.model.definition import Definition

ANYTHING: st.SearchStrategy[Any] = st.one_of(
    st.integers(),
    st.booleans(),
    st.floats(),
    st.text(max_size=3),
    st.dates(),
    st.just([]),
    st.just({}),
    st.lists(st.one_of(st.integers(), st.text(max_size=2)), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
)


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Raw values, most of them of the kind, some of them not."""
    right = _right(kind)
    return st.integers(0, 15).flatmap(lambda chance: right if chance else ANYTHING)


def _right(kind: Any) -> st.SearchStrategy[Any]:  # noqa: PLR0911
    examples = [one for limit in limits(kind) for one in limit.examples or ()]
    plain = bare(kind)
    origin = get_origin(plain)
    if examples:
        return st.sampled_from(examples)
    if is_union(plain):
        return st.one_of([values(one) for one in choices(plain)])
    if origin is Literal:
        return st.sampled_from(get_args(plain))
    if origin is tuple:
        return st.lists(values(get_args(plain)[0]), max_size=2)
    if origin is dict:
        names, items = get_args(plain)
        return st.dictionaries(_right(names), values(items), min_size=1, max_size=2)
    if is_table(plain):
        known = {key: values(one.kind) for key, one in fields(plain).items()}
        required = {key for key, one in fields(plain).items() if one.is_required}
        return st.fixed_dictionaries(
            {key: one for key, one in known.items() if key in required},
            optional={key: one for key, one in known.items() if key not in required},
        )
    return st.from_type(plain)


@settings(max_examples=60)
@given(values(Definition))
def test_what_has_no_mistake_converts_and_what_has_one_does_not(raw: Any) -> None:
    mistakes = list(check(raw, Definition))
    # A line end after the last character passes a pattern that ends in `$`, but not ours.
    assert not [one for one in mistakes if "\n" not in one.message] or not _converts(raw)
    assert mistakes or _converts(raw)


def _converts(raw: Any) -> bool:
    try:
        msgspec.convert(raw, Definition)
    except msgspec.ValidationError:
        return False
    return True
