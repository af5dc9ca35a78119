"""A run in the sandbox over an image that is being composed, for the steps that do so."""

from collections.abc import Mapping

from osloom.engine.delta import Delta
from osloom.engine.sandbox import SESSION, Request, Response, run_in_sandbox
from osloom.engine.step import Job


def run_over_tree(
    job: Job, program: str, *, files: Mapping[str, str], environment: Mapping[str, str], epoch: int
) -> tuple[Response, Delta]:
    """Run `program`, one of `files`, with the job's input `tree` as its root.

    The job has `tools` and `fakeroot` too, as every step that runs something in an image, and
    `emulator` where the image is of another architecture than this host.
    """
    request = Request(
        base=job.digest(),
        tools=job.digest("tools"),
        fakeroot=job.digest("fakeroot"),
        emulator=job.digest("emulator") if "emulator" in job.inputs else None,
        command=(f"{SESSION}/{program}",),
        files=dict(files),
        environment=dict(environment),
        epoch=epoch,
        store=str(job.store.root),
        work=str(job.work),
    )
    return run_in_sandbox(job.store, request)
