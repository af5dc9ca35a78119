"""Which program of a package an application runs, when nobody says."""

from collections.abc import Iterator

from osloom.model.search_path import is_program
from osloom.model.tree import Tree

DIRECTORIES = (
    "usr/local/bin",
    "usr/local/sbin",
    "usr/bin",
    "usr/sbin",
    "usr/games",
)
_SUFFIXES = ("-minimal", "-core", "-light", "-full", "-extras", "-server", "-bin", "-cli", "-nox")
"""What Debian adds to a program's name for a package that has it."""


def find_entrypoint(name: str, shipped: Tree, tree: Tree) -> str | None:
    """The absolute path of the program that package `name` is for; None when that is not plain.

    The program of the package's own name, without what Debian adds to it; or else the only one
    among those that it ships. `shipped` is the package's tree, `tree` the image's.
    """
    for wanted in _names(name):
        for directory in DIRECTORIES:
            if is_program(tree, f"{directory}/{wanted}"):
                return f"/{directory}/{wanted}"
    own = programs(shipped, tree)
    return own[0] if len(own) == 1 else None


def programs(shipped: Tree, tree: Tree) -> list[str]:
    """The absolute paths of the programs that a package ships, where the image has them."""
    places = (f"/{tree.resolve(path.rpartition('/')[0])}/{_last(path)}" for path in shipped)
    return sorted({place for place in places if _is_known(place) and is_program(tree, place[1:])})


def _names(name: str) -> Iterator[str]:
    yield name
    for suffix in _SUFFIXES:
        if name.endswith(suffix):
            yield name.removesuffix(suffix)


def _last(path: str) -> str:
    return path.rpartition("/")[2]


def _is_known(place: str) -> bool:
    return place[1:].rpartition("/")[0] in DIRECTORIES
