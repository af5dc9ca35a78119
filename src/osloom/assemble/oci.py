"""Output `oci`: an OCI image layout.

https://github.com/opencontainers/image-spec: image-layout.md, manifest.md, config.md
"""

import datetime as dt
import json
import re
from collections.abc import Mapping, Sequence

import msgspec

from osloom.assemble.base import added_to_base, base_of, blobs_of_base, said_of_base
from osloom.assemble.compression import programs
from osloom.assemble.debug import STAY, add_tools
from osloom.assemble.grouping import group
from osloom.assemble.layers import ON_TOP, split_layers, title_of, write_layer
from osloom.assemble.oci_config import (
    check_config,
    effective,
    identity,
    image_config,
    platform,
    with_path,
)
from osloom.assemble.oci_layout import CONFIG, MANIFEST, Layout, canonical_json
from osloom.assemble.request import Product, Request
from osloom.assemble.store_layers import plan_store_layers
from osloom.base.digest import Digest
from osloom.base.errors import BuildError
from osloom.engine.step import Job, Output, Step, action
from osloom.model.application import Derived
from osloom.model.changeset import check_names
from osloom.model.definition import Oci


@action(version=3, light=True)
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
    more = () if "PATH" in settings.env else derived.path
    settings = effective(base.inherited(settings), derived)
    settings = with_path(settings, more) if more else settings
    check_names(job.tree())
    try:
        check_config(settings, job.tree(), blobs.read)
    except BuildError as error:
        # What was noted of the packages may say what else to add.
        noted = "\n".join(derived.notes)
        raise BuildError(error.message, hint=error.hint, detail=noted) from error
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
    layout = Layout(blobs)
    architecture = parameters["architecture"]
    labels = {**base.labels, **said}
    configuration = base.continued(
        image_config(settings, layers, architecture=architecture, created=created, labels=labels)
    )
    layers = [*base.layers, *layers]
    for layer in layers:
        layout.hold(layer["digest"], layer["size"])
    config = layout.add(canonical_json(configuration), CONFIG)
    descriptors = [{key: layer[key] for key in ("mediaType", "digest", "size")} for layer in layers]
    annotations = {
        "org.opencontainers.image.created": created,
        **said,
        **base.annotations,
        **settings.annotations,
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config,
        "layers": descriptors,
        "annotations": dict(sorted(annotations.items())),
    }
    descriptor = layout.add(canonical_json(manifest), MANIFEST)
    entry = {
        **descriptor,
        "platform": platform(architecture),
        "annotations": {"org.opencontainers.image.ref.name": parameters["tag"]},
    }
    job.facts["digest"] = descriptor["digest"]
    job.facts["layers"] = len(layers)
    # Of a debug variant its image has said them.
    job.facts["notes"] = "" if parameters["debug"] else "\n".join(derived.notes)
    return {"tree": job.store.add_tree(layout.finished(entry))}


def plan(request: Request) -> tuple[Product, ...]:
    _, room = added_to_base(request)
    count = min(request.image.oci.layers, room)
    # Too few layers for packages of their own: one for everything, or one below the files.
    packages, paths = _shares(request, max(count - ON_TOP, 1)) if count > 1 else (0, 0)
    return plan_grouped(request, group(request.parts if packages else (), packages), paths)


def _shares(request: Request, count: int) -> tuple[int, int]:
    """Of `count` layers how many are for packages, and how many for store paths.

    Each may have half of them, and more where the other needs less: so what changes in one
    seldom moves anything of the other.
    """
    if not request.closure:
        return count, 0
    sources = len({part.source for part in request.parts})
    packages = min(sources, max(count // 2, count - len(request.closure)))
    return packages, count - packages


def plan_grouped(request: Request, groups: Sequence[int], paths: int = 0) -> tuple[Product, ...]:
    """`groups` has the number of each package's layer, from 0; none: no package has one.

    `paths` is how many layers store paths may have.
    """
    added, room = added_to_base(request)
    given = request.image.oci
    locale = {} if request.image.locale is None else {"LANG": request.image.locale}
    # Where it goes is no part of what it is.
    settings = msgspec.structs.replace(
        given, layers=min(given.layers, room), repository=None, tags=(), env=locale | given.env
    )
    parts = request.parts if groups else ()
    closure = request.closure if paths else ()
    enough = settings.layers >= ON_TOP + bool(parts) + bool(closure)
    divided = Step(
        action=split_layers,
        title=f"divide {request.name} into layers",
        group=request.name,
        parameters={
            "groups": list(groups),
            "names": [part.name for part in parts],
            "own": sorted(request.image.files) if enough else [],
            **({"closure": [part.name for part in closure]} if closure else {}),
        },
        inputs={"tree": added, "packages": tuple(part.tree for part in parts)},
    )
    members = [
        [part for part, number in zip(parts, groups, strict=True) if number == one]
        for one in range(max(groups, default=-1) + 1)
    ]
    titles = [title_of([part.name for part in some]) for some in members]
    titles += ["configuration", "files of the definition"]
    weights = [sum(part.size for part in some) for some in members] + [0] * ON_TOP
    trees = [divided.output(f"layer-{number}") for number in range(len(titles))]
    if request.debug is not None:
        titles.append("debug tools")
        trees.append(plan_tools(request.name, request.tree, request.debug, epoch=request.epoch))
        weights.append(0)
    layers = [
        Step(
            action=write_layer,
            title=f"write the layer {title}",
            group="layer",
            weight=weight,
            parameters={"compression": settings.compression},
            inputs={"tree": tree, **programs(settings.compression, request.compressors)},
        )
        for title, tree, weight in zip(titles, trees, weights, strict=True)
    ]
    if closure:
        below = plan_store_layers(closure, paths, settings.compression, request.compressors)
        titles = [*(title for title, _ in below), *titles]
        layers = [*(step for _, step in below), *layers]
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


def plan_tools(name: str, tree: Output, tools: Output, *, epoch: int) -> Output:
    """The layer of the debug variant `name`, whose image without it is `tree`."""
    return Step(
        action=add_tools,
        title=f"add the tools of {name}",
        group=name,
        parameters={"epoch": epoch},
        inputs={"tree": tree, "tools": tools},
    ).output()


def plain_tag(version: str) -> str:
    """A package's version as a tag may have it, without its epoch: `1.26.3-3-deb13u1`."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", version.partition(":")[2] or version)[:128]
