"""Output `oci`: an OCI image layout.

https://github.com/opencontainers/image-spec: image-layout.md, manifest.md, config.md
"""

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

import msgspec

from osloom.assemble.base import base_of, blobs_of_base, said_of_base, with_base
from osloom.assemble.compression import programs
from osloom.assemble.layers import ON_TOP, group, split_layers, write_layer
from osloom.assemble.request import Product, Request
from osloom.base.digest import Digest, to_hex
from osloom.engine.step import Job, Step, action
from osloom.model.definition import Oci
from osloom.model.tree import Node, with_parents

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def image_config(
    settings: Oci, layers: list[dict[str, Any]], *, architecture: str, created: str
) -> dict[str, Any]:
    """The image configuration, config.md; empty values are left out."""
    environment = [f"{name}={value}" for name, value in sorted(settings.env.items())]
    if "PATH" not in settings.env:
        environment.insert(0, _PATH)
    config: dict[str, Any] = {
        "User": settings.user,
        "ExposedPorts": {f"{port}/tcp": {} for port in settings.ports},
        "Env": environment,
        "Entrypoint": list(settings.entrypoint),
        "Cmd": list(settings.command),
        "Volumes": {path: {} for path in settings.volumes},
        "WorkingDir": settings.working_directory,
        "Labels": dict(sorted(settings.labels.items())),
        "StopSignal": settings.stop_signal,
    }
    if settings.healthcheck is not None:
        check = settings.healthcheck
        config["Healthcheck"] = {
            "Test": ["CMD", *check.command],
            "Interval": check.interval * 10**9,
            "Timeout": check.timeout * 10**9,
            "Retries": check.retries,
        }
    return {
        "created": created,
        "architecture": architecture,
        "os": "linux",
        "config": {name: value for name, value in config.items() if value},
        "rootfs": {"type": "layers", "diff_ids": [layer["diffId"] for layer in layers]},
        "history": [{"created": created, "created_by": layer["title"]} for layer in layers],
    }


@action(version=1)
def write_layout(job: Job) -> Mapping[str, Digest]:
    """Layers, configuration, manifest and index as the tree of a layout."""
    parameters = job.parameters
    blobs = job.store.blobs
    base = base_of(job)
    settings = base.inherited(msgspec.convert(parameters["settings"], Oci))
    infos = [json.loads(blobs.read(digest)) for digest in job.digests("infos")]
    layers = [
        {**info, "title": title}
        for info, title in zip(infos, parameters["titles"], strict=True)
        if info["paths"]
    ]
    created = dt.datetime.fromtimestamp(parameters["epoch"], dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    nodes: dict[str, Node] = {}

    def add(data: bytes, media_type: str) -> dict[str, Any]:
        digest = blobs.add(data)
        nodes[f"blobs/sha256/{to_hex(digest)}"] = Node("file", 0o644, size=len(data), digest=digest)
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    architecture = parameters["architecture"]
    configuration = base.continued(
        image_config(settings, layers, architecture=architecture, created=created)
    )
    layers = [*base.layers, *layers]
    for layer in layers:
        nodes[f"blobs/sha256/{to_hex(layer['digest'])}"] = Node(
            "file", 0o644, size=layer["size"], digest=layer["digest"]
        )
    config = add(_json(configuration), _CONFIG)
    descriptors = [{key: layer[key] for key in ("mediaType", "digest", "size")} for layer in layers]
    annotations = {
        "org.opencontainers.image.created": created,
        "org.opencontainers.image.title": parameters["name"],
        "org.opencontainers.image.version": parameters["version"],
        **base.annotations,
        **settings.annotations,
    }
    manifest = add(
        _json(
            {
                "schemaVersion": 2,
                "mediaType": _MANIFEST,
                "config": config,
                "layers": descriptors,
                "annotations": dict(sorted(annotations.items())),
            }
        ),
        _MANIFEST,
    )
    entry = {
        **manifest,
        "platform": {"architecture": architecture, "os": "linux"},
        "annotations": {"org.opencontainers.image.ref.name": settings.tag or parameters["version"]},
    }
    index = _json({"schemaVersion": 2, "mediaType": _INDEX, "manifests": [entry]})
    layout = b'{"imageLayoutVersion":"1.0.0"}'
    for path, data in (("index.json", index), ("oci-layout", layout)):
        nodes[path] = Node("file", 0o644, size=len(data), digest=blobs.add(data))
    job.facts["digest"] = manifest["digest"]
    job.facts["layers"] = len(layers)
    return {"tree": job.store.add_tree(with_parents(nodes, mtime=0))}


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def plan(request: Request) -> tuple[Product, ...]:
    request = with_base(request)
    settings = request.image.oci
    # Too few layers for packages of their own: one for everything, or one below the files.
    parts = request.parts if settings.layers > 1 else ()
    own = sorted(request.image.files) if settings.layers >= ON_TOP + bool(parts) else []
    groups = group([part.name for part in parts], settings.layers)
    numbers = sorted(set(groups))
    # Groups that no package fell into are not layers: number those that are.
    dense = [numbers.index(number) for number in groups]
    divided = Step(
        action=split_layers,
        title=f"divide {request.name} into layers",
        group=request.name,
        parameters={"groups": dense, "own": own},
        inputs={"tree": request.tree, "packages": tuple(part.tree for part in parts)},
    )
    titles = [
        _title([part.name for part, number in zip(parts, dense, strict=True) if number == one])
        for one in range(len(numbers))
    ]
    titles += ["configuration", "files of the definition"]
    layers = [
        Step(
            action=write_layer,
            title=f"write the layer {title}",
            group="layer",
            parameters={"compression": settings.compression},
            inputs={
                "tree": divided.output(f"layer-{number}"),
                **programs(settings.compression, request.compressors),
            },
        )
        for number, title in enumerate(titles)
    ]
    layout = Step(
        action=write_layout,
        title=f"write {request.name}.oci",
        group=request.name,
        parameters={
            "architecture": request.architecture,
            "epoch": request.epoch,
            "name": request.name,
            "settings": msgspec.to_builtins(settings),
            "titles": titles,
            "version": request.project.version,
            **said_of_base(request),
        },
        inputs={
            "layers": tuple(step.output("file") for step in layers),
            "infos": tuple(step.output("info") for step in layers),
            **blobs_of_base(request),
        },
    )
    product = Product(path=f"{request.name}.oci", output=layout.output(), kind="directory")
    return (product,)


def _title(names: list[str]) -> str:
    return (
        ", ".join(names) if len(names) <= 6 else f"{', '.join(names[:6])} and {len(names) - 6} more"
    )
