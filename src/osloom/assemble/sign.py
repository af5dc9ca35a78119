"""EFI programs with a signature of secure boot.

The step is told where the key is, never what it is: it opens the key itself, on this machine, and
keeps the signed program alone. Its certificate is an input, so that another key signs anew.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from osloom.assemble.request import Request
from osloom.base.digest import Digest
from osloom.engine.step import Input, Job, Output, Step, action
from osloom.keys.certificate import load_certificate
from osloom.keys.open import signer_of
from osloom.keys.places import Place
from osloom.keys.sign import sign_efi


@action(version=1)
def sign_program(job: Job) -> Mapping[str, Digest]:
    """The EFI program `program`, or the file of the tools at `path`, with one more signature."""
    blobs = job.store.blobs
    place = msgspec.convert(job.parameters["place"], Place, dec_hook=_path)
    given = job.parameters["path"]
    source = job.tools().root / given if given else blobs.path(job.digest("program"))
    signer = signer_of(place, load_certificate(blobs.path(job.digest("certificate"))))
    return {"file": blobs.add(sign_efi(source.read_bytes(), signer))}


def plan_signed(
    request: Request, place: Place, certificate: Digest, program: Output | str
) -> Output:
    """An EFI program that the key at `place` signs; as text, a path in the tools image.

    `certificate` is a blob with the content of `place.public`. Who plans has checked it and the
    key: see `osloom.keys.open.open_keys`.
    """
    path = program if isinstance(program, str) else None
    source: dict[str, Input] = (
        {"tools": request.tools} if isinstance(program, str) else {"program": program}
    )
    step = Step(
        action=sign_program,
        title=f"sign {Path(path).name if path else 'the UKI'} of {request.name}",
        group=request.name,
        parameters={"path": path, "place": msgspec.to_builtins(place, enc_hook=str)},
        inputs={"certificate": certificate, **source},
    )
    return step.output("file")


def _path(_kind: type, value: Any) -> Path:
    return Path(value)
