"""Package trees: each .deb is unpacked once, ever."""

from collections.abc import Mapping

from osloom.base.digest import Digest
from osloom.engine.step import Job, Step, action
from osloom.model.lock import Package

_LIGHT = 256 << 10
"""Bytes."""


def _is_light(job: Job) -> bool:
    return job.store.blobs.path(job.digest("package")).stat().st_size < _LIGHT


@action(version=1, light=_is_light)
def unpack(job: Job) -> Mapping[str, Digest]:
    """The .deb `package` as `tree` (its files) and `control` (its control files)."""
    from osloom.sources.debian.archive import read_package

    with job.store.blobs.open(job.digest("package")) as file:
        package = read_package(file, job.store.blobs, name=job.parameters["name"])
    return {
        "tree": job.store.add_tree(package.data),
        "control": job.store.add_tree(package.control),
    }


def unpack_step(package: Package) -> Step:
    return Step(
        action=unpack,
        title=f"unpack {package.name} {package.version}",
        group="unpack",
        weight=package.size,
        # The name is for messages only, and is the same for the same bytes.
        parameters={"name": package.name},
        inputs={"package": package.digest},
    )
