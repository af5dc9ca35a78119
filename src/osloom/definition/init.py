"""A definition to start from, with the schema beside it for editors."""

import re
from collections.abc import Mapping
from pathlib import Path

from osloom.base.errors import UsageError, nearest

DEFAULT = "all"
APPLIANCE = "appliance"
"""It needs keys before it can be built."""
TEMPLATES: Mapping[str, str] = {
    APPLIANCE: "a device that updates itself, and returns to the version before when it must",
    "all": "a container, a machine for systemd-nspawn and a bootable disk",
    "container": "a small container",
    "machine": "a system for systemd-nspawn and machinectl",
    "server": "a server on a bootable disk, and as a machine",
}
"""Name to what it makes."""

_NAME = 'name = "example"'


def template(name: str, *, project: str = "example") -> str:
    """The text of a template, for a project of that name."""
    from importlib.resources import files

    if name not in TEMPLATES:
        close = nearest(name, list(TEMPLATES))
        hint = f"did you mean `{close[0]}`?" if close else f"there are: {', '.join(TEMPLATES)}"
        raise UsageError(f"cannot find the template `{name}`", hint=hint)
    text = (files("osloom.definition") / "templates" / f"{name}.toml").read_text("utf-8")
    return text.replace(_NAME, f'name = "{project}"', 1)


def init(directory: Path, name: str = DEFAULT) -> tuple[Path, ...]:
    """Write a definition and its schema into `directory`; gives what was written.

    A definition that is there stays as it is: that is an error.
    """
    from osloom.definition.load import FILE

    definition = directory / FILE
    text = template(name, project=project_name(directory))
    if definition.exists():
        raise UsageError(
            f"cannot write {FILE}: there is one already",
            hint="remove it first, or use another directory",
        )
    try:
        directory.mkdir(parents=True, exist_ok=True)
        return (write_schema(directory), _written(definition, text))
    except OSError as error:
        raise UsageError(f"cannot write into {directory}: {error.strerror}") from error


def write_schema(directory: Path) -> Path:
    """The schema of this version, where the first line of a template points."""
    from osloom.definition import schema

    return _written(directory / schema.FILE, schema.schema_text())


def project_name(directory: Path) -> str:
    """The directory's name, as a project may have it."""
    plain = re.sub(r"[^a-z0-9._-]+", "-", directory.resolve().name.lower()).strip("._-")
    return plain[:63] or "example"


def _written(path: Path, text: str) -> Path:
    from osloom.base.files import write_atomic

    write_atomic(path, text.encode())
    return path
