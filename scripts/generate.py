"""Write the pages that are made from the code; `--check` only says whether one is stale."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from osloom.cli import reference as commands
from osloom.definition import reference, schema

REFERENCE = Path(__file__).parent.parent / "docs" / "reference"

PAGES: Mapping[str, Callable[[], str]] = {
    "commands.md": commands.page,
    "definition.md": reference.page,
    schema.FILE: schema.schema_text,
}
"""File below docs/reference to what makes it."""


def main(arguments: list[str]) -> int:
    made = {REFERENCE / name: make() for name, make in PAGES.items()}
    stale = [path for path, text in made.items() if not path.exists() or path.read_text() != text]
    if "--check" in arguments:
        for path in stale:
            print(f"stale: {path.relative_to(REFERENCE.parent.parent)}", file=sys.stderr)
        if stale:
            print("hint: run scripts/generate.py", file=sys.stderr)
        return 1 if stale else 0
    REFERENCE.mkdir(parents=True, exist_ok=True)
    for path in stale:
        path.write_text(made[path])
        print(f"wrote {path.relative_to(REFERENCE.parent.parent)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
