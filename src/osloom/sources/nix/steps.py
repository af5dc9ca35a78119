"""Store paths as steps. What unpacks them is the fetch: a NAR never lies in the store.

A path's tree is the result of its step, which `sources.nix.fetch` records when it has verified the
path. So it does not matter where the path came from, and it is there once, ever.
"""

from collections.abc import Mapping

from osloom.base.digest import Digest
from osloom.base.errors import BuildError
from osloom.engine.step import Job, Output, Step, action
from osloom.model.closure import StorePath
from osloom.sources.nix.nar import read_nar


@action(version=2)
def store_path(job: Job) -> Mapping[str, Digest]:
    """The tree of the store path with the NAR hash `nar`, its files below `nix/store/NAME`."""
    name = job.parameters["name"]
    place = job.store.blobs.find(job.digest("nar"))
    if place is not None:
        # The NAR is there for another reason, as a file of some image: nothing was fetched.
        with place.open("rb") as file:
            read = read_nar(file, job.store.blobs, name, limit=place.stat().st_size)
        return {"tree": job.store.add_tree(read.tree)}
    raise BuildError(
        f"cannot find /nix/store/{name} in osloom's store",
        hint="run `osloom build` again: it fetches what was removed meanwhile",
    )


def plan_store_path(path: StorePath) -> Output:
    return Step(
        action=store_path,
        title=f"unpack {path.name}",
        group="unpack",
        weight=path.nar_size,
        parameters={"name": path.name},
        inputs={"nar": path.nar_hash},
    ).output()
