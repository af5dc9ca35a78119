"""OCI layers of store paths: one a path, as long as there are layers enough.

A path is in the image as it is in its tree, so its layer is a function of the path alone: the same
blob in every image that has the path in a layer of its own. Which paths share a layer says
`assemble.store_grouping`.
"""

from collections.abc import Mapping, Sequence

from osloom.assemble.compression import programs
from osloom.assemble.layers import is_small, title_of, with_parents_of, write_tree
from osloom.assemble.request import StorePart
from osloom.assemble.store_grouping import group_store_paths
from osloom.base.digest import Digest
from osloom.engine.step import Job, Output, Step, action
from osloom.model.store_path import name_part


@action(version=1, light=lambda job: is_small(*job.trees("paths")))
def write_store_layer(job: Job) -> Mapping[str, Digest]:
    """The store paths `paths` as a layer blob, and its descriptor and diff ID as `info`."""
    nodes = dict(pair for tree in job.trees("paths") for pair in tree.items())
    return write_tree(job, with_parents_of(nodes, {}))


def plan_store_layers(
    closure: Sequence[StorePart], limit: int, compression: str, compressors: Output
) -> list[tuple[str, Step]]:
    """The layers' titles and what writes them, lowest first; at most `limit`."""
    numbers = group_store_paths(closure, limit)
    members: list[list[StorePart]] = [[] for _ in range(1 + max(numbers, default=-1))]
    for part, number in zip(closure, numbers, strict=True):
        members[number].append(part)
    return [(_title(some), _plan_layer(some, compression, compressors)) for some in members]


def _plan_layer(members: Sequence[StorePart], compression: str, compressors: Output) -> Step:
    return Step(
        action=write_store_layer,
        title=f"write the layer {_title(members)}",
        group="layer",
        weight=sum(part.size for part in members),
        parameters={"compression": compression},
        inputs={
            "paths": tuple(part.tree for part in members),
            **programs(compression, compressors),
        },
    )


def _title(members: Sequence[StorePart]) -> str:
    return title_of([name_part(part.name) for part in members])
