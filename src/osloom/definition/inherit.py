"""`from`: an image takes everything of another one.

Done on the tables as they were read, where it is still known which keys were set: arrays add up,
tables merge key by key, other values replace. A type may say otherwise, with `inherit` beside it:
`replace` for an array that is one value (a program and its arguments), `never` for what an image
has for itself alone (`outputs`).

An image that starts from one of a registry (`oci:…`) is inherited the same way, and its `from` is
that of all that start from it.
"""

from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin

from osloom.base.errors import nearest
from osloom.definition.check import Mistake
from osloom.definition.kinds import bare, fields, is_table, said_beside
from osloom.model.definition import Image, Oci
from osloom.model.values import BASES

DEBUG = "-debug"
"""Behind the name of an image, its debug variant's."""
Images = Mapping[str, Mapping[str, Any]]


def is_base(parent: str | None) -> bool:
    """Whether `from` names an image of a registry."""
    return parent is not None and parent.startswith(BASES)


def check_parents(images: Images) -> Iterator[Mistake]:
    """Every `from` that names no image or comes back to its own."""
    in_circle: set[str] = set()
    for name, image in images.items():
        yield from _check_debug(name, image, images)
        parent = image.get("from")
        if parent is None or is_base(parent):
            continue
        path = ("image", name, "from")
        if parent not in images:
            hint = _hint_for_parent(parent, [one for one in images if one != name])
            yield Mistake(path, f"cannot find the image `{parent}`", hint)
        elif name not in in_circle:
            circle = _circle(name, images)
            in_circle.update(circle)
            if circle:
                said = " -> ".join([*circle, circle[0]])
                hint = "take `from` out of one of them"
                yield Mistake(path, f"`from` goes in a circle: {said}", hint)


def _hint_for_parent(parent: str, others: list[str]) -> str | None:
    if set(parent) & {"/", ":"}:
        plain = parent.rpartition("://")[2].removeprefix("docker:")
        return f"for an image of a registry: `oci:{plain}`"
    close = nearest(parent, others)
    if close:
        return f"did you mean `{close[0]}`?"
    return f"there are: {', '.join(others)}" if others else None


def check_bases(images: Images) -> Iterator[Mistake]:
    """What images on one of a registry cannot have. The parents have been checked."""
    for name, image in images.items():
        if not is_base(_last_parent(name, images)):
            continue
        if image.get("configure") == "dpkg":
            yield Mistake(
                ("image", name, "configure"),
                f"packages cannot be configured on a base image, and `{name}` has one",
                "leave `configure` out: the packages' files go on top of the base",
            )
        if "service" in image:
            yield Mistake(
                ("image", name, "service"),
                f"a service cannot be carried over into a base image, and `{name}` has one",
                "say `entrypoint` and `user` in the table `oci`",
            )


def _last_parent(name: str, images: Images) -> str | None:
    parent: str | None = images[name].get("from")
    return _last_parent(parent, images) if parent is not None and parent in images else parent


def _check_debug(name: str, image: Mapping[str, Any], images: Images) -> Iterator[Mistake]:
    """A variant of nothing, of a variant, or one that is there already."""
    original = image.get("debug-of")
    path = ("image", name, "debug-of")
    if original is not None and original not in images:
        close = nearest(original, [one for one in images if one != name])
        hint = f"did you mean `{close[0]}`?" if close else None
        yield Mistake(path, f"cannot find the image `{original}`", hint)
    elif original is not None and "debug-of" in images[original]:
        said = f"`{original}` is a debug variant itself"
        yield Mistake(path, said, f"name `{images[original]['debug-of']}`")
    if image.get("oci", {}).get("debug") and f"{name}{DEBUG}" in images:
        said = f"there is an image `{name}{DEBUG}` already"
        hint = f'leave `debug` out, and give that image `debug-of = "{name}"`'
        yield Mistake(("image", name, "oci", "debug"), said, hint)


def _circle(name: str, images: Images) -> list[str]:
    """The images from `name` back to itself; none when its parents end elsewhere."""
    seen = [name]
    while True:
        parent = images.get(seen[-1], {}).get("from")
        if parent == name:
            return seen
        if parent is None or parent in seen:
            return []
        seen.append(parent)


def complete(images: Images) -> dict[str, dict[str, Any]]:
    """Every image with what it inherits, and the debug variants. The parents have been checked."""
    done: dict[str, dict[str, Any]] = {}
    for name in images:
        _complete(name, images, done)
    own = {name: done[name] for name in images}
    for name, image in [*own.items()]:
        if image.get("oci", {}).get("debug") and "oci" in image.get("outputs", ()):
            own[f"{name}{DEBUG}"] = {"debug-of": name, "outputs": ["oci"]}
    for image in own.values():
        extended = own.get(image.get("extends", ""))
        if extended is not None and "architecture" in extended:
            image.setdefault("architecture", extended["architecture"])
    return {
        name: _variant(image, own) if "debug-of" in image else image for name, image in own.items()
    }


def _variant(image: dict[str, Any], images: Images) -> dict[str, Any]:
    """A debug variant runs for the machine and with the settings of what it is a variant of."""
    original = images[image["debug-of"]]
    settings = {key: value for key, value in original.get("oci", {}).items() if key != "debug"}
    taken = {key: original[key] for key in ("architecture", "architectures") if key in original}
    return {**taken, **image, "oci": _merged(settings, image.get("oci", {}), Oci)}


def _complete(name: str, images: Images, done: dict[str, dict[str, Any]]) -> dict[str, Any]:
    if name not in done:
        own = dict(images[name])
        parent = own.get("from")
        if parent is None or is_base(parent):
            done[name] = own
        else:
            base = _complete(parent, images, done)
            kept = {key: value for key, value in base.items() if _rule(key) != "never"}
            done[name] = _merged(kept, own, Image)
            if is_base(base.get("from")):
                done[name]["from"] = base["from"]
        if is_base(done[name].get("from")):
            done[name].setdefault("configure", "none")
    return done[name]


def _rule(key: str) -> str | None:
    return said_beside(fields(Image)[key].kind, "inherit")


def _merged(base: Any, own: Any, kind: Any) -> Any:
    """`own` on top of `base`, two values of one kind."""
    plain = bare(kind)
    if is_table(plain):
        kinds = {key: one.kind for key, one in fields(plain).items()}
        return _merged_tables(base, own, kinds)
    if get_origin(plain) is dict:
        item = get_args(plain)[1]
        return _merged_tables(base, own, dict.fromkeys([*base, *own], item))
    if get_origin(plain) is tuple and said_beside(kind, "inherit") != "replace":
        return [*base, *(one for one in own if one not in base)]
    # A string or a table (`files`) is one value too: half of each would be neither.
    return own


def _merged_tables(
    base: Mapping[str, Any], own: Mapping[str, Any], kinds: Mapping[str, Any]
) -> dict[str, Any]:
    merged = dict(base)
    for key, value in own.items():
        merged[key] = _merged(base[key], value, kinds[key]) if key in base else value
    return merged
