"""Output `oci`: an OCI image layout.

https://github.com/opencontainers/image-spec: image-layout.md, manifest.md, config.md
"""

import datetime as dt
import json
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from osloom.assemble.base import added_to_base, base_of, blobs_of_base, said_of_base
from osloom.assemble.compression import programs
from osloom.assemble.debug import STAY, add_tools
from osloom.assemble.layers import ON_TOP, group, split_layers, write_layer
from osloom.assemble.oci_config import check_config, effective, identity, image_config, platform
from osloom.assemble.request import Product, Request
from osloom.base.digest import Digest, to_hex
from osloom.engine.step import Job, Output, Step, action
from osloom.model.application import Derived
from osloom.model.definition import Oci
from osloom.model.tree import Node, with_parents

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"


@action(version=2)
def write_layout(job: Job) -> Mapping[str, Digest]:
    """Layers, configuration, manifest and index as the tree of a layout."""
    parameters = job.parameters
    blobs = job.store.blobs
    settings = msgspec.convert(parameters["settings"], Oci)
    infos = [json.loads(blobs.read(digest)) for digest in job.digests("infos")]
    layers = [
        {**info, "title": title}
        for info, title in zip(infos, parameters["titles"], strict=True)
        if info["paths"]
    ]
    derived = msgspec.json.decode(
        blobs.read(job.digest("derived")) if "derived" in job.inputs else b"{}", type=Derived
    )
    base = base_of(job)
    settings = effective(base.inherited(settings), derived)
    check_config(settings, job.tree(), blobs.read)
    if parameters["debug"]:
        entrypoint = (f"/{STAY}", *settings.entrypoint)
        settings = msgspec.structs.replace(settings, entrypoint=entrypoint)
    said = identity(
        derived,
        name=parameters["name"],
        version=parameters["version"],
        revision=parameters["revision"],
    )
    created = dt.datetime.fromtimestamp(parameters["created"], dt.UTC).strftime(
        "%Y-%m-%dT%H:%M:%SZ"
    )
    nodes: dict[str, Node] = {}

    def add(data: bytes, media_type: str) -> dict[str, Any]:
        digest = blobs.add(data)
        nodes[f"blobs/sha256/{to_hex(digest)}"] = Node("file", 0o644, size=len(data), digest=digest)
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    architecture = parameters["architecture"]
    labels = {**base.labels, **said}
    configuration = base.continued(
        image_config(settings, layers, architecture=architecture, created=created, labels=labels)
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
        **said,
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
        "platform": platform(architecture),
        "annotations": {"org.opencontainers.image.ref.name": parameters["tag"]},
    }
    index = _json({"schemaVersion": 2, "mediaType": _INDEX, "manifests": [entry]})
    layout = b'{"imageLayoutVersion":"1.0.0"}'
    for path, data in (("index.json", index), ("oci-layout", layout)):
        nodes[path] = Node("file", 0o644, size=len(data), digest=blobs.add(data))
    job.facts["digest"] = manifest["digest"]
    job.facts["layers"] = len(layers)
    job.facts["notes"] = "\n".join(derived.notes)
    return {"tree": job.store.add_tree(with_parents(nodes, mtime=0))}


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def plan(request: Request) -> tuple[Product, ...]:
    added, room = added_to_base(request)
    given = request.image.oci
    # Where it goes is no part of what it is.
    settings = msgspec.structs.replace(
        given, layers=min(given.layers, room), repository=None, tags=()
    )
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
        inputs={"tree": added, "packages": tuple(part.tree for part in parts)},
    )
    titles = [
        _title([part.name for part, number in zip(parts, dense, strict=True) if number == one])
        for one in range(len(numbers))
    ]
    titles += ["configuration", "files of the definition"]
    trees = [divided.output(f"layer-{number}") for number in range(len(titles))]
    if request.debug is not None:
        titles.append("debug tools")
        trees.append(_tools(request, request.debug))
    layers = [
        Step(
            action=write_layer,
            title=f"write the layer {title}",
            group="layer",
            parameters={"compression": settings.compression},
            inputs={"tree": tree, **programs(settings.compression, request.compressors)},
        )
        for title, tree in zip(titles, trees, strict=True)
    ]
    layout = Step(
        action=write_layout,
        title=f"write {request.name}.oci",
        group=request.name,
        parameters={
            "architecture": request.architecture,
            "debug": request.debug is not None,
            "created": request.commit[1] if request.commit else request.epoch,
            "name": request.name,
            "revision": request.commit[0] if request.commit else "",
            "settings": msgspec.to_builtins(settings),
            "titles": titles,
            "tag": settings.tag or plain_tag(request.version),
            "version": request.version,
            **said_of_base(request),
        },
        inputs={
            "tree": request.tree,
            **({"derived": request.derived} if request.derived else {}),
            "layers": tuple(step.output("file") for step in layers),
            "infos": tuple(step.output("info") for step in layers),
            **blobs_of_base(request),
        },
    )
    product = Product(path=f"{request.name}.oci", output=layout.output(), kind="directory")
    return (product,)


def _tools(request: Request, tools: Output) -> Output:
    return Step(
        action=add_tools,
        title=f"add the tools of {request.name}",
        group=request.name,
        parameters={"epoch": request.epoch},
        inputs={"tree": request.tree, "tools": tools},
    ).output()


def plain_tag(version: str) -> str:
    """A package's version as a tag may have it, without its epoch: `1.26.3-3-deb13u1`."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", version.partition(":")[2] or version)[:128]


def _title(names: list[str]) -> str:
    return (
        ", ".join(names) if len(names) <= 6 else f"{', '.join(names[:6])} and {len(names) - 6} more"
    )
