"""Actions for tests of the engine."""

import contextlib
import importlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

from osloom.base.digest import Digest
from osloom.base.errors import BuildError
from osloom.engine.step import Job, action


@action(version=1)
def join(job: Job) -> Mapping[str, Digest]:
    """The parts, and one line in the file `log` for each time that this ran."""
    with Path(job.parameters["log"]).open("a") as log:
        log.write(f"{job.parameters['text']}\n")
    parts = [job.store.blobs.read(digest) for digest in job.digests("parts")]
    whole = b"".join(parts) + job.parameters["text"].strip().encode()
    return {"file": job.store.blobs.add(whole)}


@action(version=1, needs="userns")
def late(job: Job) -> Mapping[str, Digest]:
    """As `join`, after as long as packages' scripts take."""
    time.sleep(1)
    return join.run(job)


@action(version=1)
def fail(job: Job) -> Mapping[str, Digest]:
    raise BuildError("cannot do it: never could", hint="try", detail=job.parameters["text"])


@action(version=1, light=lambda job: job.parameters["light"])
def where(job: Job) -> Mapping[str, Digest]:
    """The number of the process that this ran in."""
    return {"file": job.store.blobs.add(str(os.getpid()).encode())}


@action(version=1, light=True)
def meet(job: Job) -> Mapping[str, Digest]:
    """As `where`, once another step that does this has begun, too."""
    place = Path(job.parameters["place"])
    (place / job.parameters["name"]).touch()
    for _ in range(3000):
        if len(list(place.iterdir())) == 2:
            return where.run(job)
        time.sleep(0.01)
    raise BuildError("cannot meet: nobody came")


@action(version=1)
def describe(job: Job) -> Mapping[str, Digest]:
    """The process that this ran in, as JSON, with the libraries that unpack xz in it."""
    files = []
    for place in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            files.append(str(place.readlink()))
    importlib.import_module("lzma")
    mapped = Path("/proc/self/maps").read_text().split()
    said = {
        "files": files,
        "decoders": sorted({word for word in mapped if "liblzma" in word}),
        "parent": os.getppid(),
        "process": os.getpid(),
        "session": os.getsid(0),
        "words": Path("/proc/self/cmdline").read_text().split("\0"),
    }
    return {"file": job.store.blobs.add(json.dumps(said).encode())}
