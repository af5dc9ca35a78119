"""Output `tar`: the root file system as one archive. Output `nspawn`: the same for machinectl."""

from collections.abc import Mapping

from osloom.assemble.compression import SUFFIXES, compress, programs
from osloom.assemble.request import Product, Request
from osloom.base.digest import Digest
from osloom.engine.step import Job, Step, action
from osloom.model.tar import write_tar


@action(version=2)
def archive(job: Job) -> Mapping[str, Digest]:
    """The tree `tree` as a compressed tar archive."""
    chunks = write_tar(job.tree(), job.store.blobs.chunks)
    method, level = job.parameters["compression"], job.parameters["level"]
    return {"file": compress(job, chunks, method, level)}


def plan_tar(request: Request) -> tuple[Product, ...]:
    settings = request.image.tar
    return (_product(request, settings.compression, settings.level, ".tar"),)


def plan_nspawn(request: Request) -> tuple[Product, ...]:
    """What `importctl import-tar` and `machinectl import-tar` take, importctl(1)."""
    settings = request.image.nspawn
    return (_product(request, settings.compression, settings.level, ".nspawn.tar"),)


def _product(request: Request, compression: str, level: int, suffix: str) -> Product:
    step = Step(
        action=archive,
        title=f"write {request.name}{suffix}",
        group=request.name,
        parameters={"compression": compression, "level": level},
        inputs={"tree": request.tree, **programs(compression, request.compressors)},
    )
    path = f"{request.name}{suffix}{SUFFIXES[compression]}"
    return Product(path=path, output=step.output("file"))
