"""/nix on a machine whose image nobody writes to: what the image has for it, docs/nix-writable.md.

The image's own store stays as it is. A unit lays what the machine's users add above it, and makes
Nix's database of both at every boot.
"""

from collections.abc import Mapping
from pathlib import Path

from osloom.base.digest import Digest
from osloom.compose.customise import Root
from osloom.engine.step import Job, Output, Step, action
from osloom.model.tree import Node, Tree

_DATA = Path(__file__).parent / "data"
_UNITS = "usr/lib/systemd/system"
_PROGRAM = "nix-writable"
_PLACES = {
    _PROGRAM: "usr/libexec",
    "nix-writable.service": _UNITS,
    "nix-keep.service": _UNITS,
    "nix-keep.path": _UNITS,
    "nix-writable.sh": "etc/profile.d",
}
_STATE = "var/lib/nix"
_PROFILE_OF_ROOT = "/nix/var/nix/profiles/per-user/root/profile"
_WANTED = {"nix-writable.service": "local-fs.target", "nix-keep.path": "paths.target"}


@action(version=1, light=True)
def make_writable(job: Job) -> Mapping[str, Digest]:
    """The tree `tree`, which has Nix's database, with the program and the units."""
    tree = job.tree()
    root = Root(dict(tree.items()), job.store.blobs, job.parameters["epoch"])
    for name, text in job.parameters["files"].items():
        mode = 0o755 if name == _PROGRAM else 0o644
        root.write(f"{_PLACES[name]}/{name}", text, mode=mode)
    for unit, target in _WANTED.items():
        root.put(f"{_UNITS}/{target}.wants/{unit}", Node("symlink", 0o777, target=f"../{unit}"))
    # Where the root cannot be written to, this has to be there to mount a disk at.
    if _STATE not in root.nodes:
        root.put(_STATE, Node("dir", 0o755))
    # `nix profile` of root's must not change the image's profile, which the next release brings.
    if "root" in root.nodes:
        root.put("root/.nix-profile", Node("symlink", 0o777, target=_PROFILE_OF_ROOT))
    return {"tree": job.store.add_tree(Tree(root.nodes))}


def plan_writable(name: str, tree: Output, *, epoch: int) -> Output:
    """`tree`, of the image `name` with its closure and Nix's database, for a machine's own paths."""
    texts = {one: (_DATA / one).read_text() for one in _PLACES}
    return Step(
        action=make_writable,
        title=f"let users of {name} add to the Nix store",
        group=name,
        parameters={"epoch": epoch, "files": texts},
        inputs={"tree": tree},
    ).output()
