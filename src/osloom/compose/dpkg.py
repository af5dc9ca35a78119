"""dpkg's database as if it had just unpacked the packages, dpkg(1), deb-triggers(5).

With it `dpkg --configure` does the rest as it always does: every package is `install ok unpacked`,
its files are in place, its control files are in `info`, and the interests in triggers are known.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from osloom.compose.control import Control
from osloom.compose.merge import Merged
from osloom.model.tree import Node, Tree
from osloom.store.blobs import Blobs

ADMIN = "var/lib/dpkg"

_NOT_KEPT = {"control"}
"""What dpkg puts into `status` instead of `info`."""


class Unpacked(msgspec.Struct, frozen=True):
    """One package, ready to be configured."""

    control: Control
    data: Tree


def database(packages: Sequence[Unpacked], merged: Merged, blobs: Blobs) -> Tree:
    """The tree of /var/lib/dpkg."""
    files: dict[str, bytes] = {
        "info/format": b"1\n",
        "status": _status(packages, merged, blobs),
        "available": b"",
        "diversions": b"",
        "statoverride": b"",
        "lock": b"",
        **_triggers(packages),
    }
    nodes: dict[str, Node] = {
        name: Node("dir", 0o755)
        for name in ("", "alternatives", "info", "parts", "triggers", "updates")
    }
    for package in packages:
        info = f"info/{package.control.info_name}"
        # As old as the package: it changes when that does, whatever else is installed.
        age = max((node.mtime for node in package.control.tree.values()), default=0)
        nodes[f"{info}.list"] = _file(_list(package, merged), blobs, mtime=age)
        for name, node in package.control.tree.items():
            if name not in _NOT_KEPT and node.kind == "file":
                nodes[f"{info}.{name}"] = node
    nodes |= {name: _file(data, blobs) for name, data in files.items()}
    full = {f"{ADMIN}/{name}" if name else ADMIN: node for name, node in nodes.items()}
    return Tree({"var": Node("dir", 0o755), "var/lib": Node("dir", 0o755), **full})


def _file(data: bytes, blobs: Blobs, *, mtime: int = 0) -> Node:
    return Node("file", 0o644, size=len(data), digest=blobs.add(data), mtime=mtime)


def marks(automatic: Mapping[str, str]) -> bytes:
    """The text of apt's `extended_states`: which packages only others need, apt-mark(8).

    `automatic` has architectures by name.
    """
    return "".join(
        f"Package: {name}\nArchitecture: {architecture}\nAuto-Installed: 1\n\n"
        for name, architecture in sorted(automatic.items())
    ).encode()


def _list(package: Unpacked, merged: Merged) -> bytes:
    """The paths of the package, in its own words, less those another package took."""
    name = package.control.name
    moved, lost = merged.places[name], merged.lost.get(name, frozenset())
    lines = ["/."] + [f"/{path}" for path in package.data if moved.get(path, path) not in lost]
    return ("\n".join(lines) + "\n").encode(errors="surrogateescape")


def _status(packages: Sequence[Unpacked], merged: Merged, blobs: Blobs) -> bytes:
    stanzas = [
        _stanza(package, merged, blobs)
        for package in sorted(packages, key=lambda one: one.control.info_name)
    ]
    return "\n".join(stanzas).encode(errors="surrogateescape")


def _stanza(package: Unpacked, merged: Merged, blobs: Blobs) -> str:
    control = package.control
    lines = [f"Package: {control.name}", "Status: install ok unpacked"]
    lines += [
        f"{field}: {value}" if value[:1] != "\n" else f"{field}:{value}"
        for field, value in control.fields.items()
        if field != "Package"
    ]
    conffiles = list(_conffiles(package, merged, blobs))
    if conffiles:
        lines += ["Conffiles:", *conffiles]
    return "\n".join(lines) + "\n"


def _conffiles(package: Unpacked, merged: Merged, blobs: Blobs) -> Iterator[str]:
    """Each with the MD5 of what the package ships, which is what dpkg compares with later."""
    for line in package.control.lines("conffiles"):
        *flags, name = line.split()
        path = name.lstrip("/")
        place = merged.places[package.control.name].get(path, path)
        node = merged.tree.get(place)
        if "remove-on-upgrade" in flags or node is None or node.digest is None:
            continue
        md5 = hashlib.md5(blobs.read(node.digest), usedforsecurity=False).hexdigest()
        yield f" {name} {md5}"


def _triggers(packages: Sequence[Unpacked]) -> Mapping[str, bytes]:
    """Who waits for what: one file for each named trigger, `File` for those on paths."""
    interests: dict[str, list[str]] = {}
    for package in packages:
        for line in package.control.lines("triggers"):
            words = line.split("#")[0].split()
            if len(words) == 2 and words[0].startswith("interest"):
                suffix = "/noawait" if words[0] == "interest-noawait" else ""
                interests.setdefault(words[1], []).append(package.control.name + suffix)
    on_paths = [
        f"{name} {package}\n"
        for name, waiting in sorted(interests.items())
        if name.startswith("/")
        for package in sorted(waiting)
    ]
    named = {
        f"triggers/{name}": "".join(f"{package}\n" for package in sorted(waiting)).encode()
        for name, waiting in interests.items()
        if not name.startswith("/")
    }
    return {"triggers/File": "".join(on_paths).encode(), "triggers/Lock": b"", **named}
