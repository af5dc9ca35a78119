"""A debug variant: the image's own layers, one of tools above, and a program that stays.

The tools are added to what the image has and change nothing of it. Where both have a path, the
image's stays: so the program runs as it does in production.
"""

from collections.abc import Mapping

import msgspec

from osloom.assemble.layers import with_parents_of
from osloom.base.digest import Digest
from osloom.base.errors import BuildError
from osloom.engine.step import Job, action
from osloom.model.tree import Node, Tree

STAY = "usr/lib/osloom/stay"
"""The entrypoint; the image's own and its arguments are what it starts."""

_STAY = """\
#!/bin/sh
# Runs a program and stays when it has ended, however it ended, so that somebody can look.
# What asks it to stop is passed on to the program; then it ends with the program's status.
signals="HUP INT QUIT TERM USR1 USR2"
stopped= child=
for signal in $signals; do
    trap "stopped=$signal;"' [ -z "$child" ] || kill -"$stopped" "$child" 2>/dev/null' "$signal"
done
# The input of what runs beside a shell is nothing, unless it is given by another number.
exec 3<&0
"$@" <&3 3<&- &
child=$!
exec 3<&-
[ -z "$stopped" ] || kill -"$stopped" "$child" 2>/dev/null
wait "$child"
status=$?
# A signal interrupts the waiting, not the program.
while kill -0 "$child" 2>/dev/null; do
    wait "$child"
    status=$?
done
# From here on a signal ends the container; one that came before is in `stopped`.
sleeper=
trap '[ -z "$sleeper" ] || kill "$sleeper"; exit "$status"' $signals
[ -z "$stopped" ] || exit "$status"
echo "debug: the program ended with status $status; the container stays" >&2
while :; do
    sleep 3600 &
    sleeper=$!
    wait "$sleeper"
done
"""


def only_new(tree: Tree, tools: Tree) -> dict[str, Node]:
    """What `tools` has and `tree` has not; a hard link to what is not new is a file."""
    new = {path: node for path, node in tools.items() if tree.resolve(path) not in tree}
    for path, node in list(new.items()):
        if node.kind == "hardlink" and node.target not in new:
            new[path] = tools[node.target]
    return new


def _check_programs(whole: Tree) -> None:
    """Raises BuildError when what STAY is written in, and waits with, is nowhere."""
    for program, package in {"sh": "dash", "sleep": "coreutils"}.items():
        if all(whole.resolve(f"{place}/{program}") not in whole for place in ("bin", "usr/bin")):
            raise BuildError(
                f"cannot make the debug variant: its tools have no `{program}`, with which it stays",
                hint=f"add the package `{package}` to its `packages`",
            )


@action(version=2, light=True)
def add_tools(job: Job) -> Mapping[str, Digest]:
    """The layer that adds `tools` and the program that stays to the image `tree`, as a tree."""
    tree = job.tree()
    nodes = only_new(tree, job.tree("tools"))
    _check_programs(Tree({**tree, **nodes}))
    text = _STAY.encode()
    digest = job.store.blobs.add(text, executable=True)
    nodes[STAY] = Node("file", 0o755, size=len(text), digest=digest)
    epoch = job.parameters["epoch"]
    clamped = {
        path: msgspec.structs.replace(node, mtime=min(node.mtime or epoch, epoch))
        for path, node in nodes.items()
    }
    return {"tree": job.store.add_tree(with_parents_of(clamped, tree))}
