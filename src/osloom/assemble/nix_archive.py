"""A store path as a binary cache has it: its NAR, compressed by locked programs."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping

from osloom.assemble.compression import compress, programs
from osloom.base.digest import Digest, from_hex
from osloom.base.errors import BuildError
from osloom.engine.step import Job, Output, Step, action
from osloom.model.closure import STORE, StorePath
from osloom.model.nar import write_nar
from osloom.sources.nix.steps import plan_store_path


@action(version=1)
def nix_archive(job: Job) -> Mapping[str, Digest]:
    """The NAR `nar` of the store path `name` in `tree`, compressed with `method` at `level`."""
    name, nar = job.parameters["name"], job.parameters["nar"]
    found = hashlib.sha256()
    chunks = write_nar(job.tree(), f"{STORE}/{name}".lstrip("/"), job.store.blobs.chunks)
    method, level = job.parameters["method"], job.parameters["level"]
    archive = compress(job, _hashed(chunks, found), method, level)
    if from_hex(found.hexdigest()) != nar:
        raise BuildError(
            f"cannot write the NAR of {STORE}/{name}: osloom's store has something else",
            hint="run `osloom cache verify`",
        )
    return {"archive": archive}


def _hashed(chunks: Iterable[bytes], found: "hashlib._Hash") -> Iterator[bytes]:
    for chunk in chunks:
        found.update(chunk)
        yield chunk


def plan_archive(path: StorePath, method: str, level: int | None, compressors: Output) -> Output:
    """The output `archive`: a blob."""
    return Step(
        action=nix_archive,
        title=f"archive {path.name}",
        group="archive",
        weight=path.nar_size,
        parameters={"name": path.name, "nar": path.nar_hash, "method": method, "level": level},
        inputs={"tree": plan_store_path(path), **programs(method, compressors)},
    ).output("archive")
