"""Packages on a base image: their files alone, which go before the base's own."""

from collections.abc import Mapping, Sequence

from osloom.base.digest import Digest
from osloom.base.errors import BuildError
from osloom.compose.application.trim import trimmed
from osloom.compose.control import Control
from osloom.compose.merge import Claimant, merge, skeleton
from osloom.engine.step import Job, action
from osloom.model.tree import Node, Tree, parents
from osloom.sources.debian.deb822 import package_names


@action(version=1)
def merge_onto(job: Job) -> Mapping[str, Digest]:
    """`trees` and `controls` of packages on the tree `base`.

    Of the packages that is left out which applications do without, but `keep` (`application.trim`):
    most bases are without it too.
    """
    claimants = [
        Claimant(
            name=control.name,
            tree=trimmed(tree, job.parameters["keep"]),
            replaces=package_names(control.fields.get("Replaces", "")),
        )
        for control, tree in zip(
            [Control(tree, job.store.blobs) for tree in job.trees("controls")],
            job.trees("trees"),
            strict=True,
        )
    ]
    return {"tree": job.store.add_tree(onto(job.tree("base"), claimants))}


def onto(base: Tree, claimants: Sequence[Claimant]) -> Tree:
    """`base` with the packages on it. Directories that were there stay as they were.

    Raises BuildError where a package has a file and the base a directory.
    """
    whole = Tree({**base, **_missing(base)})
    for claimant in claimants:
        for path, node in claimant.tree.items():
            if node.kind != "dir" and path in whole and whole[path].kind == "dir":
                raise BuildError(
                    f"cannot merge `{claimant.name}`: `/{path}` is a {node.kind} in it, "
                    "and a directory in the base",
                    hint="leave the package out, or choose a base of the same suite",
                )
    merged = merge(claimants, base=whole).tree
    kept = {path: node for path, node in whole.items() if node.kind == "dir" == merged[path].kind}
    # Over the base: a file that a package replaces stays under its other names.
    return whole.overlaid(Tree({**merged, **kept}))


def _missing(base: Tree) -> Tree:
    """What packages of a merged /usr count on and the base does not have."""

    def is_wanted(path: str, _: Node) -> bool:
        above = [base[one] for one in parents(path) if one in base]
        return path not in base and all(node.kind == "dir" for node in above)

    return skeleton().where(is_wanted)


def with_untouched(made: Tree, tree: Tree, base: Tree) -> Tree:
    """`made`, of which `tree` was the source, with what in `tree` is as in `base` as it is there.

    So that nothing of the base is sent again because its times are late or it holds a log. But no
    machine of systemd may have the identity of another.
    """
    decided = "etc/machine-id" if "usr/lib/systemd/systemd" in tree else None
    untouched = {
        path: node for path, node in tree.items() if base.get(path) == node and path != decided
    }
    above = {parent: tree[parent] for path in untouched for parent in parents(path)}
    return Tree({**above, **made, **untouched})
