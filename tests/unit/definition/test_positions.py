"""Where keys stand, held against what tomllib reads."""

import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osloom.definition.positions import find, positions

Path = tuple[str | int, ...]


def paths(value: Any, path: Path = ()) -> Iterator[Path]:
    """Every key path and array element of what tomllib gives."""
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, one in items:
        yield (*path, key)
        yield from paths(one, (*path, key))


ODD = {
    "dotted keys": 'a.b . "c d".e = 1\na.b.f = 2\n',
    "quoted keys": '"a.b" = 1\n\'c"d\' = 2\n"\\u00e9" = 3\n"" = 4\n',
    "dotted header": "[a.b.c]\nd = 1\n[a.b]\ne = 2\n[ a . f ]\ng = 3\n",
    "arrays of tables": "[[a]]\nb = 1\n[[a.c]]\nd = 2\n[[a.c]]\nd = 3\n[[a]]\n[a.c]\nd = 4\n",
    "inline tables": "a = { b = 1, c.d = [ { e = 2 }, {} ], f = {} }\n",
    "arrays over lines": "a = [ # first\n  1, # second\n  [2, 3],\n  { b = 4 },\n]\nc = 5\n",
    "multi-line strings": 'a = """\n[b]\nc = 1 \\"""\n"""\nd = \'\'\'\n[e]\n\'\'\'\nf = 2\n',
    "quotes that end a multi-line string": "a = \"\"\"x\"\"\"\"\"\nb = '''y'''''\nc = 3\n",
    "empty strings": "a = \"\"\nb = ''\nc = \"\"\"\"\"\"\nd = ''''''\ne = 5\n",
    "escaped quotes": 'a = "x\\"=[y"\nb = "\\\\"\nc = 3\n',
    "backslash in a literal string": "a = '\\'\nb = 2\n",
    "dates": "a = 1979-05-27 07:32:00Z\nb = 1979-05-27\nc = [07:32:00, 1979-05-27T07:32:00]\n",
    "comment signs in strings": "a = 'x # y'\nb = \"[#]\" # c = 1\nd = 2\n",
    "Windows line ends": "a = 1\r\n[b]\r\n# x\r\nc = [\r\n2,\r\n]\r\n",
    "no line end": "a = 1",
    "nothing": "",
    "comments alone": "# a = 1\n",
}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD.keys())
def test_every_key_and_element_of_odd_toml_is_found(text: str) -> None:
    assert set(positions(text)) == set(paths(tomllib.loads(text)))


def test_a_position_is_that_of_the_key_itself() -> None:
    text = '[image.api]\npackages = ["a",\n    "b"]\noci = { ports = [1] }\n[[image.api.test]]\n'
    assert positions(text) == {
        ("image",): (1, 2),
        ("image", "api"): (1, 8),
        ("image", "api", "packages"): (2, 1),
        ("image", "api", "packages", 0): (2, 13),
        ("image", "api", "packages", 1): (3, 5),
        ("image", "api", "oci"): (4, 1),
        ("image", "api", "oci", "ports"): (4, 9),
        ("image", "api", "oci", "ports", 0): (4, 18),
        ("image", "api", "test"): (5, 13),
        ("image", "api", "test", 0): (5, 13),
    }


def test_what_is_not_in_the_text_is_found_where_its_table_is() -> None:
    assert find("[a]\n[b.c]\nd = 1\n", ("b", "c", "missing", 3)) == (2, 4)


def test_nothing_is_found_in_an_empty_text() -> None:
    assert find("", ("a",)) is None


_BARE = st.text("abcXYZ019_-", min_size=1, max_size=4)
_QUOTED = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\x7f"), max_size=5
).map(lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"')
_KEY = st.one_of(_BARE, _QUOTED, st.text('ab =.#[]{}"', max_size=4).map(lambda text: f"'{text}'"))
_SCALAR = st.sampled_from(
    ["1", "-1.5e3", "true", "nan", "0x1f", "1979-05-27 07:32:00", '""', "'''\nx = 1\n[y]'''"]
)
_VALUE = st.recursive(
    st.one_of(_SCALAR, _QUOTED, _QUOTED.map(lambda text: f'""{text}""')),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: "[ " + ", # ]\n".join(items) + "\n]"),
        st.dictionaries(_BARE, inner, max_size=3).map(
            lambda table: "{ " + ", ".join(f"{key} = {one}" for key, one in table.items()) + " }"
        ),
    ),
    max_leaves=6,
)
_DOTTED = st.lists(_KEY, min_size=1, max_size=3).map(" . ".join)
_LINE = st.one_of(
    st.tuples(_DOTTED, _VALUE).map(lambda pair: f"{pair[0]} = {pair[1]}"),
    _DOTTED.map(lambda keys: f"[ {keys} ]"),
    _DOTTED.map(lambda keys: f"[[{keys}]] # x"),
    st.just("# [a] b = 1"),
)


@given(st.lists(_LINE, max_size=8))
def test_every_key_of_any_toml_is_found_where_it_is_written(lines: list[str]) -> None:
    text = ""
    for line in lines:
        # What repeats a key is left out, so that most of a text survives.
        try:
            tomllib.loads(f"{text}{line}\n")
        except tomllib.TOMLDecodeError:
            continue
        text += f"{line}\n"
    found = positions(text)
    assert set(found) == set(paths(tomllib.loads(text)))
    rows = text.split("\n")
    for path, (line_number, column) in found.items():
        if isinstance(path[-1], str):
            rest = rows[line_number - 1][column - 1 :]
            assert rest.startswith((path[-1], '"', "'"))
