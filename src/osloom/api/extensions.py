"""What is published of an extension: its disk images and their root hashes."""

from collections.abc import Callable
from pathlib import Path

from osloom.api.plan import plan
from osloom.api.session import Session
from osloom.model.definition import Image
from osloom.release.version import ReleaseFile


def extension_files(
    session: Session, name: str, image: Image, *, own: str, made: Callable[[Path], object]
) -> tuple[ReleaseFile, ...]:
    """Make the extensions of an image, and name their files for the release `own`; `made` hears of
    them."""
    version = session.project.definition.project.version
    planned = plan(session, {name: image}, image.outputs).outputs
    digests = session.make([one.product.output for one in planned], made)
    return tuple(
        ReleaseFile(
            name=f"{own}_{version}{one.product.path.removeprefix(f'{name}_{version}')}",
            path=path,
            digest=digest,
            size=path.stat().st_size,
            is_new=session.is_new(one.product.output),
        )
        for one, digest in zip(planned, digests, strict=True)
        for path in (session.store.blobs.path(digest),)
    )
