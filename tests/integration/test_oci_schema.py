"""What osloom writes, held against the JSON schemas of the image specification itself."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4

from integration.conftest import Workshop
from support.programs import Programs

_SCHEMAS = "usr/share/gocode/src/github.com/opencontainers/image-spec/schema"
_DEFINITION = """
[project]
name = "shop"
version = "1.2"
revision = true

[image.full]
packages = ["busybox-static"]
architectures = ["amd64", "arm64"]
outputs = ["oci"]

[image.full.oci]
entrypoint = ["/usr/bin/busybox", "sh"]
command = ["-c", "exit"]
user = "1234:5678"
env = { GREETING = "good day" }
working-directory = "/srv"
ports = [8080, "53/udp"]
volumes = ["/data"]
stop-signal = "SIGQUIT"
labels = { a = "b" }
annotations = { "com.example.a" = "b" }
debug = true

[image.full.oci.healthcheck]
command = ["/usr/bin/busybox", "true"]
start-period = 3

[image.gzip]
packages = ["busybox-static"]
outputs = ["oci"]
[image.gzip.oci]
compression = "gzip"
"""
_KINDS = {
    "application/vnd.oci.image.index.v1+json": "image-index-schema.json",
    "application/vnd.oci.image.manifest.v1+json": "image-manifest-schema.json",
    "application/vnd.oci.image.config.v1+json": "config-schema.json",
}


@pytest.fixture(scope="module")
def schemas(tmp_path_factory: pytest.TempPathFactory, store: Path) -> dict[str, Any]:
    name = "golang-github-opencontainers-image-spec-dev"
    root = Programs(tmp_path_factory.mktemp("schemas"), store, name).root
    return {path.name: json.loads(path.read_text()) for path in (root / _SCHEMAS).glob("*.json")}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Workshop:
    workshop = Workshop(tmp_path_factory.mktemp("schema"), store)
    (workshop.directory / "osloom.toml").write_text(_DEFINITION)
    for command in ("lock", "build"):
        workshop(command, OSLOOM_REVISION=f"{'a' * 40} 1700000000").check()
    return workshop


def check(value: object, schema: str, schemas: dict[str, Any]) -> None:
    def retrieve(uri: str) -> Resource[Any]:
        # They name each other relative to addresses that nobody serves.
        return Resource.from_contents(schemas[uri.rpartition("/")[2]], DRAFT4)

    registry: Registry[Any] = Registry(retrieve=retrieve)  # type: ignore[call-arg]
    jsonschema.Draft4Validator(schemas[schema], registry=registry).validate(value)


@pytest.mark.parametrize("name", ["full", "full-debug", "gzip"])
def test_every_part_of_a_layout_is_as_the_schemas_say(
    built: Workshop, schemas: dict[str, Any], name: str
) -> None:
    layout = built.directory / f"dist/{name}/{name}.oci"
    check(json.loads((layout / "oci-layout").read_text()), "image-layout-schema.json", schemas)
    index = json.loads((layout / "index.json").read_text())
    check(index, "image-index-schema.json", schemas)
    todo = [*index["manifests"]]
    seen = set()
    while todo:
        descriptor = todo.pop()
        seen.add(descriptor["mediaType"])
        check(descriptor, "content-descriptor.json", schemas)
        if descriptor["mediaType"] not in _KINDS:
            continue
        value = json.loads((layout / "blobs" / descriptor["digest"].replace(":", "/")).read_text())
        check(value, _KINDS[descriptor["mediaType"]], schemas)
        todo += value.get("manifests", [])
        todo += [value["config"], *value["layers"]] if "layers" in value else []
    assert set(_KINDS) - {"application/vnd.oci.image.index.v1+json"} <= seen


def test_the_schemas_refuse_what_is_wrong(schemas: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        check({"schemaVersion": 2, "layers": []}, "image-manifest-schema.json", schemas)
    with pytest.raises(jsonschema.ValidationError):
        check({"digest": "md5", "size": 1, "mediaType": "a/b"}, "content-descriptor.json", schemas)


def test_the_commit_is_the_revision_and_its_time(built: Workshop) -> None:
    layout = built.directory / "dist/gzip/gzip.oci"
    (entry,) = json.loads((layout / "index.json").read_text())["manifests"]
    manifest = json.loads((layout / "blobs" / entry["digest"].replace(":", "/")).read_text())
    said = manifest["annotations"]
    assert said["org.opencontainers.image.revision"] == "a" * 40
    assert said["org.opencontainers.image.created"] == "2023-11-14T22:13:20Z"
    path = layout / "blobs" / manifest["config"]["digest"].replace(":", "/")
    config = json.loads(path.read_text())
    assert config["created"] == "2023-11-14T22:13:20Z"
    assert config["config"]["Labels"]["org.opencontainers.image.revision"] == "a" * 40
