"""How things look: results on stdout, everything else on stderr."""

import json
import sys
from collections.abc import Sequence
from typing import Any, TextIO

from osloom.base.errors import Error

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def in_bytes(count: float) -> str:
    """A size as people read it: `12.3 MiB`."""
    for unit in _UNITS:
        if count < 1024 or unit == _UNITS[-1]:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    raise AssertionError


def in_seconds(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds // 60)}:{int(seconds % 60):02d} min"


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    import msgspec

    print(json.dumps(msgspec.to_builtins(value), indent=2))


def print_table(
    head: Sequence[str], rows: Sequence[Sequence[str]], file: TextIO = sys.stdout
) -> None:
    """Columns as wide as they need to be; numbers to the right."""
    table = [list(head), *[list(row) for row in rows]]
    widths = [max(len(row[column]) for row in table) for column in range(len(head))]
    for number, row in enumerate(table):
        cells = [
            cell.rjust(width) if cell[:1].isdigit() and number else cell.ljust(width)
            for cell, width in zip(row, widths, strict=True)
        ]
        print("  ".join(cells).rstrip(), file=file)


def print_error(error: Error) -> None:
    where = f"{error.where}: " if error.where else ""
    print(f"{where}error: {error.message}", file=sys.stderr)
    if error.hint:
        print(f"hint: {error.hint}", file=sys.stderr)
    if error.detail:
        print("\n".join(f"  {line}" for line in error.detail.splitlines()), file=sys.stderr)


def error_json(error: Error) -> dict[str, Any]:
    where = error.where
    return {
        "error": error.message,
        "hint": error.hint,
        "detail": error.detail,
        "file": where.file if where else None,
        "line": where.line if where else None,
        "column": where.column if where else None,
    }
