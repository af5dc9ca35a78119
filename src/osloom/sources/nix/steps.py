"""Store paths as steps. What unpacks them is the fetch: a NAR never lies in the store.

A path's tree is the result of its step, which `sources.nix.fetch` records when it has verified the
path. So it does not matter where the path came from, and it is there once, ever.
"""

from collections.abc import Mapping

from osloom.base.digest import Digest
from osloom.base.errors import BuildError
from osloom.engine.step import Job, Output, Step, action
from osloom.model.closure import StorePath


@action(version=1)
def store_path(job: Job) -> Mapping[str, Digest]:
    """The tree of the store path with the NAR hash `nar`, its files below `nix/store/NAME`."""
    raise BuildError(
        f"cannot find /nix/store/{job.parameters['name']} in osloom's store",
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
