"""A table of an image that may be written as an array: `nix = ["nixpkgs#hello"]`.

The type of the field says with `array` beside it which key of the table the array is. It is
expanded before `from` is followed, so that arrays and tables of images add up.
"""

from collections.abc import Mapping
from typing import Any

from osloom.definition.check import Path
from osloom.definition.kinds import fields, said_beside
from osloom.model.definition import Image


def expand(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The definition with tables for such arrays; it has been checked."""
    images = {
        name: {key: _expanded(key, value) for key, value in image.items()}
        for name, image in raw["image"].items()
    }
    return {**raw, "image": images}


def _expanded(key: str, value: Any) -> Any:
    short = _short(key)
    return {short: value} if short and isinstance(value, list) else value


def as_written(path: Path, raw: Mapping[str, Any]) -> Path:
    """A key path of the expanded definition, as the file has it."""
    if len(path) < 4 or path[0] != "image":
        return path
    image, key = raw["image"].get(path[1]), path[2]
    if isinstance(image, dict) and isinstance(image.get(key), list) and _short(key):
        return (*path[:3], *path[4:])
    return path


def _short(key: str | int) -> str | None:
    """The key of the table `key` that an array in its place stands for."""
    field = fields(Image).get(str(key))
    return said_beside(field.kind, "array") if field else None
