"""/nix on a machine whose image nobody writes to: what the image has for it, docs/nix-writable.md.

The image's own store stays as it is. A unit lays what the machine's users add above it, and makes
Nix's database of both at every boot.
"""

from collections.abc import Mapping
from importlib.resources import files

from osloom.base.digest import Digest
from osloom.base.errors import BuildError
from osloom.compose.customise import Root
from osloom.engine.step import Job, Output, Step, action
from osloom.model.tree import Node, Tree

PACKAGES = ("nix-bin", "sqlite3")
"""What the image needs beside its own packages: Nix, and what the boot reads databases with."""

_UNITS = "usr/lib/systemd/system"
_PLACES = {
    "nix-writable": "usr/libexec",
    "nix-writable.service": _UNITS,
    "nix-keep.service": _UNITS,
    "nix-keep.path": _UNITS,
}
_WANTED = {"nix-writable.service": "local-fs.target", "nix-keep.path": "paths.target"}
_DATABASE = "nix/var/nix/db/db.sqlite"


@action(version=1, light=True)
def make_writable(job: Job) -> Mapping[str, Digest]:
    """The tree `tree` with the program and the units. Raises BuildError without a database."""
    tree = job.tree()
    if _DATABASE not in tree:
        raise BuildError(
            f"cannot make the Nix store of {job.parameters['name']} writable: "
            f"the image has no database of it at `/{_DATABASE}`",
            hint="nothing but `nix` may put files below /nix",
        )
    root = Root(dict(tree.items()), job.store.blobs, job.parameters["epoch"])
    for name, text in job.parameters["files"].items():
        mode = 0o644 if "." in name else 0o755
        root.write(f"{_PLACES[name]}/{name}", text, mode=mode)
    for unit, target in _WANTED.items():
        root.put(f"{_UNITS}/{target}.wants/{unit}", Node("symlink", 0o777, target=f"../{unit}"))
    # Where a root cannot be written to, what is mounted at needs to be there.
    for place in ("nix/store", "nix/var", "var/lib/nix"):
        if place not in root.nodes:
            root.put(place, Node("dir", 0o755))
    return {"tree": job.store.add_tree(Tree(root.nodes))}


def plan_writable(name: str, tree: Output, *, epoch: int) -> Output:
    """`tree`, of the image `name` with its closure and Nix's database, for a machine's own paths."""
    texts = {one: (files(__package__) / "data" / one).read_text() for one in _PLACES}
    return Step(
        action=make_writable,
        title=f"let users of {name} add to the Nix store",
        group=name,
        parameters={"name": name, "epoch": epoch, "files": texts},
        inputs={"tree": tree},
    ).output()
