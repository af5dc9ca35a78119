"""Where an image has the units of a service: its file, drop-ins and sockets, systemd.unit(5)."""

import re
from collections.abc import Callable

import msgspec

from osloom.base.errors import BuildError, nearest
from osloom.compose.application.units.file import parse_unit, split_words
from osloom.model.tree import Tree

_PLACES = (
    "etc/systemd/system",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
)
"""Where units are, the strongest first, systemd.unit(5)."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """The file of a service."""

    path: str
    is_alias: bool = False
    """Whether it names itself so in `Alias=`; as a link such a name is there once it is enabled."""


def find_unit(tree: Tree, name: str, read: Callable[[str], str]) -> Found:
    """The file in `tree` of the service `name`: `nginx`, `postgresql@17-main`.

    Aliases are followed; of an instance that has no file of its own it is its template's. `read`
    gives the text of a path. Raises BuildError when there is none, with the services there are.
    """
    full = unit_name(name)
    prefix, at, instance = full.removesuffix(".service").partition("@")
    if at and not instance:
        raise BuildError(
            f"cannot use the service `{name}`: it is a template",
            hint=f"name one of its instances, as in `{prefix}@main`",
        )
    for wanted in [full, *([f"{prefix}@.service"] if at else [])]:
        path = _locate(tree, wanted)
        if path == "dev/null":
            raise BuildError(f"cannot use the service `{name}`: it is masked in the image")
        if path is not None:
            return Found(path=path)
    for path in _services(tree):
        aliases = parse_unit(read(path)).values("Install", "Alias")
        if any(full in split_words(one) for one in aliases):
            return Found(path=path, is_alias=True)
    raise _missing(tree, name, prefix)


def unit_name(name: str) -> str:
    """`nginx` and `nginx.service` are the same service."""
    return name if name.endswith(".service") else f"{name}.service"


def _locate(tree: Tree, unit: str) -> str | None:
    for place in _PLACES:
        path = tree.resolve(f"{place}/{unit}")
        if path == "dev/null":
            return path
        if path in tree and tree[path].kind in ("file", "hardlink"):
            return path
    return None


def _services(tree: Tree) -> list[str]:
    return [
        path for path in tree if path.endswith(".service") and path.rpartition("/")[0] in _PLACES
    ]


def _missing(tree: Tree, name: str, prefix: str) -> BuildError:
    names = sorted({path.rpartition("/")[2].removesuffix(".service") for path in _services(tree)})
    close = nearest(name, names, count=3) or [one for one in names if prefix and prefix in one][:3]
    if f"etc/init.d/{prefix}" in tree:
        hint = f"there is only /etc/init.d/{prefix}: say the `entrypoint` yourself"
    elif close:
        hint = "did you mean " + " or ".join(f"`{one}`" for one in close) + "?"
    else:
        hint = "add the package that has the unit, or say the `entrypoint` yourself"
    return BuildError(f"cannot find the service `{name}` in the image", hint=hint)


def find_drop_ins(tree: Tree, name: str) -> tuple[str, ...]:
    """The paths of the drop-ins of the service `name`, in the order in which they are read."""
    stem = unit_name(name).removesuffix(".service")
    prefix, at, _ = stem.partition("@")
    dashes = [stem[: at.end()] for at in re.finditer("-", prefix)]
    owners = ["service", *(f"{dash}.service" for dash in dashes)]
    owners += [f"{prefix}@.service"] if at else []
    owners.append(f"{stem}.service")
    found: dict[str, str] = {}
    for owner in owners:
        for place in reversed(_PLACES):
            below = tree.resolve(f"{place}/{owner}.d") + "/"
            for path in tree:
                if (
                    path.startswith(below)
                    and path.endswith(".conf")
                    and "/" not in path[len(below) :]
                ):
                    found[path[len(below) :]] = path
    return tuple(path for _, path in sorted(found.items()))


def find_sockets(tree: Tree) -> dict[str, str]:
    """The paths of all socket units, by their names."""
    return {
        path.rpartition("/")[2]: path
        for place in reversed(_PLACES)
        for path, node in tree.items()
        if path.startswith(f"{place}/") and path.endswith(".socket")
        if path.count("/") == place.count("/") + 1 and node.kind in ("file", "hardlink")
    }
