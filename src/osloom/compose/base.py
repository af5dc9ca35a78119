"""The parts of an image that are configured one after the other, each on what came of those before.

First what an installation configures before all else: the scripts of other packages count on it
without saying so, Debian Policy 3.8. Then what makes a system of it, whose scripts take the longest.
So images of a suite share the results, and a package that is added or updated later finds them.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from osloom.compose.dpkg import ADMIN, Unpacked
from osloom.model.lock import Package
from osloom.model.tree import Node, Tree, parents
from osloom.store.blobs import Blobs

_STATUS = f"{ADMIN}/status"
_UNINCORPORATED = f"{ADMIN}/triggers/Unincorp"
_SYSTEM = (
    "ca-certificates",
    "curl",
    "dbus",
    "dmsetup",
    "gpg",
    "openssh-server",
    "systemd-boot",
    "systemd-container",
    "systemd-cryptsetup",
    "systemd-resolved",
    "systemd-sysv",
    "systemd-timesyncd",
    "udev",
)
"""What machines have and programs seldom bring: with what these need they are the second part."""
_KERNELS = ("linux-image-", "linux-modules-")


def base_of(packages: Sequence[Package]) -> frozenset[str]:
    """The names of the required packages and of all that they need."""
    return _closure([one.name for one in packages if one.required], _needs(packages))


def is_kernel(package: Package) -> bool:
    """Whether it brings a kernel or modules of one; by its name, before anything of it is there."""
    return package.name.startswith(_KERNELS)


def parts_of(packages: Sequence[Package]) -> list[frozenset[str]]:
    """The names of `packages` in parts, in the order in which they are configured: what is required,
    the system, the rest. Each has what it needs in itself and those before; none is empty.
    """
    depends = _needs(packages)
    required = base_of(packages)
    system = [name for name in depends if name in _SYSTEM or name.startswith(_KERNELS)]
    second = _closure(system, depends) - required
    parts = (required, second, frozenset(depends) - required - second)
    return [one for one in parts if one]


def _needs(packages: Sequence[Package]) -> dict[str, Sequence[str]]:
    return {package.name: package.depends for package in packages}


def _closure(names: Iterable[str], depends: Mapping[str, Sequence[str]]) -> frozenset[str]:
    todo = list(names)
    found: set[str] = set()
    while todo:
        name = todo.pop()
        if name in depends and name not in found:
            found.add(name)
            todo.extend(depends[name])
    return frozenset(found)


def with_base(
    unpacked: Tree, packages: Sequence[Unpacked], base: tuple[Tree, Tree], blobs: Blobs
) -> Tree:
    """The tree `unpacked` of all packages, where a part of them is already configured.

    `base` is the tree of that part alone before and after that. What its scripts changed is taken
    over where no other package has a say. What is before it in turn is done in `unpacked` already.
    """
    before, after = base
    changed = {
        path: node
        for path, node in after.items()
        if node != before.get(path) and unpacked.get(path) == before.get(path)
    }
    gone = [path for path in before if path not in after and unpacked.get(path) == before[path]]
    status = _stanzas(_read(unpacked, _STATUS, blobs)) | _stanzas(_read(after, _STATUS, blobs))
    there = _names(before)
    late = [one for one in packages if one.control.info_name not in there]
    texts = {
        _STATUS: "\n".join(status[name] for name in sorted(status)),
        _UNINCORPORATED: "".join(f"{name} -\n" for name in _activated(unpacked, late, blobs)),
    }
    written = {path: _file(text, blobs) for path, text in texts.items()}
    return unpacked.without(gone).overlaid(Tree(changed | written))


def _names(tree: Tree) -> frozenset[str]:
    """Which packages a tree's database holds files of, by their names in it."""
    directory = f"{ADMIN}/info/"
    return frozenset(
        path.removeprefix(directory).removesuffix(".list")
        for path in tree
        if path.startswith(directory) and path.endswith(".list")
    )


def _stanzas(status: str) -> dict[str, str]:
    """The stanzas of dpkg's status, by package and architecture."""
    found = {}
    for stanza in re.split(r"\n{2,}", status.strip("\n")):
        fields = dict(re.findall(r"^(Package|Architecture): (.*)$", stanza, re.MULTILINE))
        if fields:
            found[f"{fields['Package']}:{fields['Architecture']}"] = f"{stanza}\n"
    return found


def _activated(tree: Tree, late: Iterable[Unpacked], blobs: Blobs) -> list[str]:
    """The triggers on paths that unpacking the packages `late` sets off, deb-triggers(5)."""
    watched = {
        line.split()[0] for line in _read(tree, f"{ADMIN}/triggers/File", blobs).splitlines()
    }
    paths = {path for one in late for path in one.data}
    return sorted(watched & {f"/{name}" for path in paths for name in (path, *parents(path))})


def _read(tree: Mapping[str, Node], path: str, blobs: Blobs) -> str:
    node = tree.get(path)
    if node is None or node.digest is None:
        return ""
    return blobs.read(node.digest).decode(errors="surrogateescape")


def _file(text: str, blobs: Blobs) -> Node:
    data = text.encode(errors="surrogateescape")
    return Node("file", 0o644, size=len(data), digest=blobs.add(data))
