"""What the sources of `model.definition` and its neighbours say about each key, below it.

Python keeps no docstring of a field: so they are read from the source, and there is no second
place where a key is described.
"""

import ast
import functools
import inspect
from collections.abc import Iterator, Mapping

from osloom.model import definition, disk, extension, providers, update
from osloom.model.providers import Table


def of_table(table: type[Table]) -> str:
    return _joined(table.__doc__ or "")


def of_field(table: type[Table], name: str) -> str:
    """The text under a field; `name` is the class's own."""
    return _all()[table.__name__][name]


@functools.cache
def _all() -> Mapping[str, Mapping[str, str]]:
    modules = (providers, extension, update, disk, definition)
    trees = [ast.parse(inspect.getsource(module)) for module in modules]
    return {
        one.name: dict(_fields(one))
        for tree in trees
        for one in tree.body
        if isinstance(one, ast.ClassDef)
    }


def _fields(table: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, text in zip(table.body, table.body[1:], strict=False):
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
            continue
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            yield field.target.id, _joined(str(text.value.value))


def _joined(text: str) -> str:
    return " ".join(text.split())
