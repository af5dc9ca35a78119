"""What an extension adds to the image that it extends; no script runs.

A package that the extended image has is left out as a whole, and of the others each path that the
extended image has just so. systemd-sysext(8)
"""

import posixpath
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from osloom.base.digest import Digest
from osloom.base.errors import BuildError
from osloom.compose.application.scripts.effects import Effects
from osloom.compose.application.trim import trimmed
from osloom.compose.application.unrun import best_alternatives, read_scripts, script_notes
from osloom.compose.control import Control
from osloom.engine.step import Job, Output, Step, action
from osloom.model.changeset import difference
from osloom.model.extension import PLACES
from osloom.model.lock import Package
from osloom.model.tree import Node, Tree
from osloom.store.blobs import Blobs

_UNITS = "usr/lib/systemd/system/"
_RELEASES = ("etc/os-release", "usr/lib/os-release")
_MEND = "do it in the image that is extended, or in a unit"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters of `add_to`."""

    epoch: int
    kinds: tuple[str, ...]
    """The outputs of the image: keys of PLACES."""
    extends: str = ""
    """The name of the image that is extended; empty where there is none."""
    keep: tuple[str, ...] = ()
    enable: tuple[str, ...] = ()


@action(version=1, light=True)
def add_to(job: Job) -> Mapping[str, Digest]:
    """What `tree` has beside the tree `below`; its `release`, os-release(5); `notes` for people.

    `controls` are the control trees of the packages of `tree`.
    """
    settings = msgspec.convert(job.parameters["settings"], Settings)
    blobs = job.store.blobs
    own = trimmed(job.tree(), settings.keep)
    below = job.tree("below") if "below" in job.inputs else Tree()
    whole = below.overlaid(own)
    scripts = read_scripts([Control(one, blobs) for one in job.trees("controls")], whole)
    own = own.overlaid(_alternatives(scripts, whole, settings.epoch))
    added = added_to(own, below, epoch=settings.epoch)
    notes = [
        *_left_out(added, settings),
        *_accounts(scripts, below, blobs),
        *script_notes(scripts, added, mend=_MEND),
        *_not_started(added, settings, blobs),
    ]
    return {
        "tree": job.store.add_tree(added),
        "release": blobs.add(
            next(filter(None, (_read(below, one, blobs) for one in _RELEASES)), b"")
        ),
        "notes": blobs.add("\n".join(sorted(notes)).encode()),
    }


def _read(tree: Tree, path: str, blobs: Blobs) -> bytes:
    """The file at `path`, links followed; empty where there is none."""
    node = tree.get(tree.resolve(path))
    return blobs.read(node.digest) if node is not None and node.digest is not None else b""


def _alternatives(scripts: Mapping[str, Effects], whole: Tree, epoch: int) -> Tree:
    """Links to the programs themselves: /etc/alternatives is not the extension's."""
    choices = [choice for one in scripts.values() for choice in one.alternatives]
    links = {}
    for one in best_alternatives(choices, lambda path: whole.resolve(path) in whole):
        for link, _, path in ((one.link, one.name, one.path), *one.slaves):
            place = link.lstrip("/")
            if whole.resolve(path) in whole and place not in whole and place.startswith("usr/"):
                links[place] = Node("symlink", 0o777, mtime=epoch, target=path)
    return Tree(links)


def added_to(tree: Tree, below: Tree, *, epoch: int) -> Tree:
    """What of `tree` is new or another than in `below`, and the directories above it.

    Directories that both have are as in `below`: the topmost says what a merged one is like.
    """
    nodes = {path: _settled(node, below.get(path)) for path, node in tree.items()}
    changed = difference(below, below.overlaid(Tree(nodes)), mtime=epoch)
    # What makes way for something else is hidden by it anyway.
    return changed.where(
        lambda path, _: path not in _RELEASES and not posixpath.basename(path).startswith(".wh.")
    )


def _settled(node: Node, there: Node | None) -> Node:
    """The node below, where the other says nothing new."""
    if there is None or node.kind != there.kind:
        return node
    if node.kind == "dir" or msgspec.structs.replace(node, mtime=there.mtime) == there:
        return there
    return node


def _left_out(added: Tree, settings: Settings) -> Iterator[str]:
    """One sentence for each directory of the root of which nothing can be seen."""
    seen = {place for kind in settings.kinds for place in PLACES[kind]}
    holders = {place: kind for kind, places in PLACES.items() for place in places}
    found: dict[str, list[str]] = {}
    above = {posixpath.dirname(path) for path in added}
    for path in added:
        top = path.partition("/")[0]
        if path and top not in seen and path not in above and path != top:
            found.setdefault(top, []).append(path)
    for top, (first, *others) in found.items():
        more = f" and {len(others)} more below /{top} are" if others else " is"
        mend = "nothing of a package outside /usr, /opt and /etc can be in an extension"
        if top in holders:
            mend = f"add `{holders[top]}` to `outputs` if they are needed"
        elif top == "var":
            mend = "a file in /usr/lib/tmpfiles.d can make it, tmpfiles.d(5)"
        yield f"/{first}{more} not in it: {mend}"


def _accounts(scripts: Mapping[str, Effects], below: Tree, blobs: Blobs) -> Iterator[str]:
    """What the scripts would do of which one can say what to do instead."""
    text = _read(below, "etc/passwd", blobs).decode(errors="replace")
    known = {line.partition(":")[0] for line in text.splitlines()}
    for name, effects in scripts.items():
        for one in effects.users:
            if one.kind == "user" and one.name not in known:
                yield (
                    f"`{name}` wants the user `{one.name}`, and an extension comes too late for "
                    "accounts: make it in the image that is extended"
                )


def _not_started(added: Tree, settings: Settings, blobs: Blobs) -> Iterator[str]:
    if "sysext" not in settings.kinds:
        return
    for path, node in added.items():
        name = posixpath.basename(path)
        if path != _UNITS + name or node.digest is None or name in settings.enable or "@" in name:
            continue
        if b"\n[Install]" in blobs.read(node.digest):
            yield f"`{name}` does not start by itself: name it in `systemd.enable` if it is to"


def check_versions(
    name: str, extends: str, packages: Sequence[Package], below: Sequence[Package]
) -> tuple[Package, ...]:
    """Those of `packages` that the extended image, with the packages `below`, has not got.

    Raises BuildError where the two have another version of a package.
    """
    there = {(one.name, one.architecture): one.version for one in below}
    for one in packages:
        version = there.get((one.name, one.architecture), one.version)
        if version != one.version:
            raise BuildError(
                f"cannot extend `{extends}` with `{name}`: it needs {one.name} {one.version}, and "
                f"`{extends}` has {version}",
                hint="run `osloom lock --upgrade`, or leave out what asks for that version",
            )
    return tuple(one for one in packages if (one.name, one.architecture) not in there)


def plan_addition(
    name: str,
    tree: Output,
    controls: Sequence[Output],
    settings: Settings,
    *,
    below: Output | None,
) -> Step:
    """`tree` is of packages and files, `below` that of the extended image."""
    return Step(
        action=add_to,
        title=f"compare {name} with {settings.extends}" if below else f"gather {name}",
        group=name,
        parameters={"settings": msgspec.to_builtins(settings)},
        inputs={
            "tree": tree,
            "controls": tuple(controls),
            **({"below": below} if below else {}),
        },
    )
