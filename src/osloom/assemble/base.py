"""OCI images on a base image: its layers first and untouched, then what the image adds to it.

The configuration is inherited as a Dockerfile's `FROM` does: what the definition sets wins, and an
entrypoint of its own forgets the base's command,
https://docs.docker.com/reference/dockerfile/#understand-how-cmd-and-entrypoint-interact.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from osloom.assemble.request import Request
from osloom.base.digest import Digest
from osloom.base.errors import BuildError
from osloom.engine.step import Input, Job, Output, Step, action
from osloom.model.changeset import difference
from osloom.model.definition import Oci
from osloom.sources.oci.manifest import MOST_LAYERS, oci_type

_ITS_OWN = [
    f"org.opencontainers.image.{name}" for name in ("title", "description", "version", "revision")
]


class Settings(msgspec.Struct, frozen=True, rename="pascal"):
    """`config` of an image configuration, config.md; what is not inherited is left out."""

    user: str | None = None
    exposed_ports: dict[str, Any] | None = None
    env: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    volumes: dict[str, Any] | None = None
    working_dir: str | None = None
    labels: dict[str, str] | None = None
    stop_signal: str | None = None
    healthcheck: dict[str, Any] | None = None
    shell: tuple[str, ...] | None = None


class _Config(msgspec.Struct, frozen=True):
    config: Settings | None = None
    history: tuple[dict[str, Any], ...] | None = None


class BaseImage(msgspec.Struct, frozen=True, kw_only=True):
    """What a layout takes of the base; of no base, nothing."""

    layers: tuple[dict[str, Any], ...] = ()
    """Descriptors, each with its `diffId`."""
    annotations: Mapping[str, str] = {}
    config: Settings = msgspec.field(default_factory=Settings)
    history: tuple[dict[str, Any], ...] = ()

    @property
    def labels(self) -> Mapping[str, str]:
        """Those of the base, but not what it is called itself."""
        own = self.config.labels or {}
        return {name: value for name, value in own.items() if name not in _ITS_OWN}

    def inherited(self, own: Oci) -> Oci:
        """The definition's settings, with the base's where it has none."""
        base = self.config
        pairs = (one.partition("=") for one in base.env or ())
        env = {name: value for name, equals, value in pairs if name and equals}
        return msgspec.structs.replace(
            own,
            entrypoint=own.entrypoint or base.entrypoint or (),
            command=own.command or (() if own.entrypoint else base.cmd or ()),
            user=own.user or base.user,
            env=env | own.env,
            working_directory=own.working_directory or base.working_dir,
            stop_signal=own.stop_signal or base.stop_signal,
        )

    def continued(self, configuration: dict[str, Any]) -> dict[str, Any]:
        """The configuration of the image's own layers, with what is below them."""
        base, config = self.config, configuration["config"]
        # What a definition has no words for, such as checks by a shell, is taken as it is.
        more = {
            "ExposedPorts": {**(base.exposed_ports or {}), **config.get("ExposedPorts", {})},
            "Healthcheck": config.get("Healthcheck", base.healthcheck),
            "Shell": base.shell,
            "Volumes": {**(base.volumes or {}), **config.get("Volumes", {})},
        }
        below = [layer["diffId"] for layer in self.layers]
        diff_ids = [*below, *configuration["rootfs"]["diff_ids"]]
        return {
            **configuration,
            "config": config | {name: value for name, value in more.items() if value},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "history": [*self.history, *configuration["history"]],
        }


def base_of(job: Job) -> BaseImage:
    """What `said_of_base` and `blobs_of_base` gave to the job. Raises BuildError."""
    said = job.parameters.get("base")
    if said is None:
        return BaseImage()
    data = job.store.blobs.read(job.digest("base-config"))
    try:
        config = msgspec.json.decode(data, type=_Config)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BuildError(
            f"cannot read the configuration of {said['reference']}: {error}",
            hint="do not use this base, or tell who made it",
        ) from error
    layers = tuple(said["layers"])
    history = config.history or ()
    if sum(not one.get("empty_layer") for one in history) != len(layers):
        # None, or one that is not about these layers: engines count them.
        history = tuple({"created_by": f"a layer of {said['reference']}"} for _ in layers)
    # annotations.md: the name is that of a registry.
    kind, _, name = said["reference"].partition(":")
    named = {"org.opencontainers.image.base.name": name} if kind == "oci" else {}
    return BaseImage(
        layers=layers,
        annotations={"org.opencontainers.image.base.digest": said["manifest"], **named},
        config=config.config or Settings(),
        history=history,
    )


def added_to_base(request: Request) -> tuple[Output, int]:
    """The tree of what an image adds to its base, and how many layers that may have.

    Of an image without a base it is all there is. Raises BuildError when there is no room.
    """
    room = MOST_LAYERS - (request.debug is not None)
    if request.base is None or request.base_tree is None:
        return request.tree, room
    room -= len(request.base.layers)
    if room < 1:
        raise BuildError(
            f"cannot write {request.name}.oci: its base has {len(request.base.layers)} layers, "
            f"and container engines take {MOST_LAYERS}",
            hint="choose another base, or have its layers squashed",
        )
    step = Step(
        action=subtract_base,
        title=f"subtract the base from {request.name}",
        group=request.name,
        parameters={"epoch": request.epoch},
        inputs={"tree": request.tree, "base": request.base_tree},
    )
    return step.output(), room


@action(version=1)
def subtract_base(job: Job) -> Mapping[str, Digest]:
    """What has to be put on `base` to have `tree`, with whiteouts."""
    layer = difference(job.tree("base"), job.tree(), mtime=job.parameters["epoch"])
    job.store.blobs.add(b"")  # what whiteouts hold
    return {"tree": job.store.add_tree(layer)}


def said_of_base(request: Request) -> dict[str, Any]:
    """The parameters of a step that asks for `base_of`."""
    base = request.base
    if base is None:
        return {}
    layers = [
        {
            "mediaType": oci_type(layer.media_type),
            "digest": layer.digest,
            "size": layer.size,
            "diffId": layer.diff_id,
        }
        for layer in base.layers
    ]
    return {
        "base": {"reference": base.reference, "manifest": base.manifest, "layers": layers},
    }


def blobs_of_base(request: Request) -> dict[str, Input]:
    """The inputs of a step that asks for `base_of`: so they are fetched for it."""
    base = request.base
    if base is None:
        return {}
    return {
        "base-config": base.config,
        "base-layers": tuple(layer.digest for layer in base.layers),
    }
