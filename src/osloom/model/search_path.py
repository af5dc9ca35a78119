"""Where an image's programs are looked for, as execvp(3) does."""

import posixpath
from collections.abc import Mapping

from osloom.model.tree import Node, resolve_links

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""What container engines take where nobody says another."""


def places(program: str, *, path: str = PATH, directory: str = "") -> list[str]:
    """Where `program` may be, in the order in which it is tried; a path is below `directory`."""
    if "/" in program:
        return [posixpath.join(directory, program)]
    return [f"{one}/{program}" for one in path.split(":")]


def is_program(nodes: Mapping[str, Node], path: str) -> bool:
    """Whether `path` is, at the end of its links, a file that may be executed."""
    node = file_at(nodes, path)
    return node is not None and bool(node.mode & 0o111)


def file_at(nodes: Mapping[str, Node], path: str) -> Node | None:
    """The file at the end of the links of `path`, with its content where it has several names."""
    node = nodes.get(resolve_links(nodes, path))
    if node is not None and node.kind == "hardlink":
        node = nodes.get(node.target)
    return node if node is not None and node.kind == "file" else None
