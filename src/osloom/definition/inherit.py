"""`from`: an image takes everything of another one.

Done on the tables as they were read, where it is still known which keys were set: lists add up,
tables merge key by key, other values replace. What an image makes (`outputs`) is its own.
"""

from collections.abc import Mapping
from typing import Any

OWN = ("outputs", "from")
"""Keys that are not taken over."""


class InheritanceError(Exception):
    """The arguments: what is wrong, the image whose `from` it is, and the nearest valid name."""

    def __init__(self, message: str, image: str, hint: str | None) -> None:
        super().__init__(message)
        self.message = message
        self.image = image
        self.hint = hint


def complete(images: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Every image with what it inherits. Raises InheritanceError."""
    return {name: _complete(name, images, ()) for name in images}


def _complete(
    name: str, images: Mapping[str, Mapping[str, Any]], above: tuple[str, ...]
) -> dict[str, Any]:
    image = images[name]
    parent = image.get("from")
    if parent is None:
        return dict(image)
    chain = (*above, name)
    if parent in chain:
        circle = " -> ".join([*chain[chain.index(parent) :], parent])
        raise InheritanceError(f"`from` goes in a circle: {circle}", name, "break it at one image")
    if parent not in images:
        from osloom.base.errors import nearest

        close = nearest(str(parent), list(images))
        hint = f"did you mean `{close[0]}`?" if close else f"there are: {', '.join(images)}"
        raise InheritanceError(f"`from` names no image: `{parent}`", name, hint)
    inherited = _complete(parent, images, chain)
    base = {key: value for key, value in inherited.items() if key not in OWN}
    return merged(base, image)


def merged(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """`own` on top of `base`."""
    result = dict(base)
    for key, value in own.items():
        there = result.get(key)
        if isinstance(there, dict) and isinstance(value, dict):
            result[key] = merged(there, value)
        elif isinstance(there, list) and isinstance(value, list):
            result[key] = [*there, *(one for one in value if one not in there)]
        else:
            result[key] = value
    return result
