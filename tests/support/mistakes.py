"""Definitions with mistakes in them."""

from pathlib import Path

import pytest

from osloom.base.errors import DefinitionError
from osloom.definition.load import parse


def mistakes(text: str, directory: Path | None = None) -> list[str]:
    """The error as lines: `LINE:COLUMN message | hint`, then what else is wrong."""
    with pytest.raises(DefinitionError) as caught:
        parse(text, file="osloom.toml", directory=directory)
    error = caught.value
    assert error.where is not None
    assert error.where.file == "osloom.toml"
    assert error.exit_code == 2
    hint = f" | {error.hint}" if error.hint else ""
    first = f"{error.where.line}:{error.where.column} {error.message}{hint}"
    return [first, *error.detail.splitlines()]
