"""Base images as steps: each layer is read once, ever; then all of them make one tree."""

from collections.abc import Mapping

from osloom.base.digest import Digest
from osloom.base.errors import BuildError
from osloom.engine.step import Job, Output, Step, action
from osloom.model.changeset import apply_layer
from osloom.model.lock import Base
from osloom.model.tree import Tree, TreeError
from osloom.sources.oci.layer import read_layer as read

_LEAST = 4 << 30
_RATIO = 64
"""A layer may unpack to `_LEAST` bytes and `_RATIO` times its size: sparse files pack well."""


@action(version=1)
def read_layer(job: Job) -> Mapping[str, Digest]:
    """The blob `layer`, whose uncompressed archive has the digest `diffId`, as a tree."""
    digest = job.digest("layer")
    blobs = job.store.blobs
    try:
        with blobs.open(digest) as file:
            limit = _LEAST + _RATIO * blobs.path(digest).stat().st_size
            tree = read(file, blobs, limit=limit, diff_id=job.parameters["diffId"])
        return {"tree": job.store.add_tree(tree)}
    except (BuildError, TreeError) as error:
        raise BuildError(
            f"cannot use the layer {digest} of the base: {error.message}",
            hint=error.hint or "do not use this base, or tell who made it",
        ) from error


@action(version=1)
def apply_layers(job: Job) -> Mapping[str, Digest]:
    """The trees `layers`, lowest first, as one: what a container of the base sees."""
    tree = Tree()
    for digest in job.digests("layers"):
        try:
            tree = apply_layer(tree, job.store.load_tree(digest))
        except TreeError as error:
            raise BuildError(
                f"cannot put the layers of the base on each other: {error.message}",
                hint="do not use this base, or tell who made it",
            ) from error
    return {"tree": job.store.add_tree(tree)}


def plan_base(base: Base) -> Output:
    """The tree of a base image."""
    layers = [
        Step(
            action=read_layer,
            title=f"read a layer of {base.reference}",
            group="read",
            weight=layer.size,
            parameters={"diffId": layer.diff_id},
            inputs={"layer": layer.digest},
        ).output()
        for layer in base.layers
    ]
    step = Step(
        action=apply_layers,
        title=f"join the layers of {base.reference}",
        group="base",
        inputs={"layers": tuple(layers)},
    )
    return step.output()
