"""Package trees to one tree, as steps: merge, and dpkg's database when it is wanted."""

from collections.abc import Mapping

from osloom.base.digest import Digest
from osloom.compose.base import with_base
from osloom.compose.control import Control
from osloom.compose.dpkg import Unpacked, database, marks
from osloom.compose.merge import Claimant, merge, skeleton
from osloom.engine.step import Job, action
from osloom.model.tree import Node, Tree
from osloom.sources.debian.deb822 import package_names

_FEW = 40
"""Packages."""


@action(version=5, light=lambda job: len(job.digests("trees")) <= _FEW)
def merge_packages(job: Job) -> Mapping[str, Digest]:
    """`trees` and `controls` of packages as one tree; with dpkg's database if `dpkg` is set.

    `base` has, for each part of them that is configured already, its tree before and after that.
    `automatic` has the architectures of packages that only others need, by name.
    """
    blobs = job.store.blobs
    unpacked = [
        Unpacked(Control(control, blobs), tree)
        for control, tree in zip(job.trees("controls"), job.trees("trees"), strict=True)
    ]
    merged = merge(
        [
            Claimant(
                name=one.control.name,
                tree=one.data,
                replaces=package_names(one.control.fields.get("Replaces", "")),
            )
            for one in unpacked
        ],
        base=skeleton(),
    )
    tree = merged.tree
    if job.parameters["dpkg"]:
        tree = tree.overlaid(database(unpacked, merged, blobs))
    automatic = job.parameters["automatic"]
    if automatic and "var/lib/apt" in tree:
        text = marks(automatic)
        node = Node("file", 0o644, size=len(text), digest=blobs.add(text))
        tree = tree.overlaid(Tree({"var/lib/apt/extended_states": node}))
    if "base" in job.inputs:
        done = iter(job.trees("base"))
        for before, after in zip(done, done, strict=True):
            tree = with_base(tree, unpacked, (before, after), blobs)
    return {"tree": job.store.add_tree(tree)}
