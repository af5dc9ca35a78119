"""Take out of a configured tree what would differ from one build to the next.

The list is explicit: what is in it, and why, is all that osloom changes of what packages' scripts
leave behind.
"""

import fnmatch
from collections.abc import Callable, Iterable

import msgspec

from osloom.model.origin import origin
from osloom.model.tree import Node, Tree, parents

REMOVED = {
    "etc/.pwd.lock": "lock of the passwd tools",
    "etc/group-": "backup",
    "etc/gshadow-": "backup",
    "etc/passwd-": "backup",
    "etc/shadow-": "backup",
    "etc/subgid-": "backup",
    "etc/subuid-": "backup",
    "etc/ssh/ssh_host_*": "secret keys, made anew at the first start",
    "etc/ssl/private/ssl-cert-snakeoil.key": "secret key",
    "etc/ssl/certs/ssl-cert-snakeoil.pem": "belongs to the secret key",
    "run/*": "lives in memory",
    "tmp/*": "temporary",
    "var/cache/apt/*.bin": "cache with times",
    "var/cache/debconf/*-old": "backup",
    "var/cache/ldconfig/aux-cache": "cache with inode numbers and times",
    "var/lib/apt/lists/*": "what the mirror had, not what the image holds",
    "var/lib/dbus/machine-id": "made at the first boot",
    "var/lib/dpkg/*-old": "backup",
    "var/lib/dpkg/lock*": "lock",
    "var/lib/dpkg/triggers/Lock": "lock",
    "var/lib/systemd/random-seed": "secret",
    "var/log/alternatives.log": "log with times",
    "var/log/apt/*": "log with times",
    "var/log/bootstrap.log": "log with times",
    "var/log/dpkg.log": "log with times",
    "var/tmp/*": "temporary",
}
"""Pattern to reason."""
_WILD = frozenset("*?[")


def matching(tree: Iterable[str], patterns: Iterable[str]) -> list[str]:
    """The paths that a pattern names; `*` and `?` do not cross a slash."""
    plain = {pattern.strip("/") for pattern in patterns}
    exact = {pattern for pattern in plain if not _WILD & set(pattern)}
    # Most have their wild part in the last name: the rest of such a pattern is looked up.
    names: dict[str, list[str]] = {}
    wild = []
    for pattern in plain - exact:
        directory, _, name = pattern.rpartition("/")
        if _WILD & set(directory):
            wild.append((pattern, pattern.count("/")))
        else:
            names.setdefault(directory, []).append(name)

    def is_named(path: str) -> bool:
        directory, _, name = path.rpartition("/")
        return (
            path in exact
            or any(fnmatch.fnmatchcase(name, one) for one in names.get(directory, ()))
            or any(path.count("/") == depth and _matches(path, one) for one, depth in wild)
        )

    return [path for path in tree if is_named(path)]


def _matches(path: str, pattern: str) -> bool:
    parts, wanted = path.split("/"), pattern.split("/")
    return all(fnmatch.fnmatchcase(*pair) for pair in zip(parts, wanted, strict=True))


def left_behind(tree: Tree, own: Iterable[str]) -> list[str]:
    """What scripts have left in `tree` that is in the way or would differ: the paths of REMOVED.

    Not those of `own`, which osloom itself has made there (`own_of`).
    """
    kept = frozenset(own)
    return [path for path in matching(tree, REMOVED) if path not in kept]


def own_of(made: Iterable[str]) -> list[str]:
    """The paths of REMOVED that are among the paths `made`, or above one."""
    return sorted(matching({one for path in made for one in (path, *parents(path))}, REMOVED))


def place_of(tree: Tree, path: str) -> str:
    """Where `path`, or what a pattern names, lies in `tree`: the links of its directory followed."""
    directory, _, name = path.strip("/").rpartition("/")
    found = tree.resolve(directory) if directory else ""
    return f"{found}/{name}" if found else name


def normalised(
    tree: Tree, *, epoch: int, add: Callable[[bytes], Node], gone: Iterable[str] = ()
) -> Tree:
    """The tree without the paths `gone`, and with no time later than `epoch`.

    A hard link has the time of the file that it is, and what is generated from a file has that
    file's time.
    """
    kept = tree.without(gone)
    nodes = {
        path: msgspec.structs.replace(node, mtime=epoch)
        if node.mtime == 0 or node.mtime > epoch
        else node
        for path, node in kept.items()
    }
    for path, node in nodes.items():
        if node.mtime != epoch:
            continue
        source = node.target if node.kind == "hardlink" else origin(path)
        if source in nodes:
            nodes[path] = msgspec.structs.replace(node, mtime=nodes[source].mtime)
    if "usr/lib/systemd/systemd" in nodes:
        # Not an id but the word for "none yet": the first boot makes one, machine-id(5).
        nodes["etc/machine-id"] = msgspec.structs.replace(
            add(b"uninitialized\n"), mode=0o444, mtime=epoch
        )
    return Tree(nodes)
