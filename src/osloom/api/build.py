"""Build images: plan, fetch what is missing, run the steps, put the outputs in place."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from osloom.api.plan import plan
from osloom.api.project import OUTPUT
from osloom.api.publish import Publisher
from osloom.api.session import Session
from osloom.model.artifact import Artifact
from osloom.model.definition import Image


def build(
    session: Session,
    images: Mapping[str, Image],
    *,
    formats: Sequence[str] = (),
    directory: Path | None = None,
) -> list[Artifact]:
    """Make every output of `images` and put it below `directory`; gives what was made."""
    planned = plan(session, images, formats)
    session.make([one.product.output for one in planned.outputs])
    publisher = Publisher(session.store, directory or session.project.directory / OUTPUT)
    made = []
    for one in planned.outputs:
        outcome = session.builder.outcome(one.product.output.step)
        artifact = publisher.publish(one.image, one.format, one.product, outcome.result)
        made.append(
            msgspec.structs.replace(artifact, seconds=outcome.result.seconds, reused=outcome.reused)
        )
    publisher.finish()
    return made
