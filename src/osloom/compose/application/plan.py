"""The step that makes an application of packages' files."""

from collections.abc import Mapping

import msgspec

from osloom.base.digest import Digest
from osloom.compose.application.adapt import Settings, adapt
from osloom.compose.customise import files_of
from osloom.engine.step import Input, Step
from osloom.model.definition import File, Image


def plan_application(
    name: str,
    image: Image,
    inputs: Mapping[str, Input],
    *,
    main: str,
    epoch: int,
    sources: Mapping[str, Digest],
) -> Step:
    """Outputs `tree` and `derived`, as `adapt` says it; so it says of `inputs` and `main`.

    `sources` has the trees of the definition's files, by their paths.
    """
    settings = Settings(
        epoch=epoch,
        main=main,
        configured=image.runs_dpkg,
        keep=image.keep or (),
        service=image.service,
        entrypoint=not image.oci.entrypoint,
        user=image.oci.user,
        own=tuple(sorted({*image.users, *image.groups})),
        named=tuple(sorted(_named(image))),
        ports=bool(image.oci.ports),
        paths=tuple(image.files),
        # What only a service is read with makes no other application.
        files=files_of(image) if image.service else {},
        sources=dict(sources) if image.service else {},
        env=image.oci.env if image.service else {},
        home=image.oci.home,
    )
    read = {"sources": tuple(sorted(sources.values()))} if image.service else {}
    return Step(
        action=adapt,
        title=f"make an application of {name}",
        group=name,
        parameters={"settings": msgspec.to_builtins(settings)},
        inputs={**inputs, **read},
    )


def _named(image: Image) -> set[str]:
    """The users and groups that the definition's files belong to, and its users."""
    files = [one for one in image.files.values() if isinstance(one, File)]
    owners = {name for one in files for name in (one.owner, one.group) if name is not None}
    return owners | {name for one in image.users.values() for name in one.groups}
