"""Base images that are not there, lie or have changed: one clear sentence."""

import shutil
from pathlib import Path

from integration.bases import altered, copied, define, failed, index, manifest_of, on, project, read
from support.registry import Shelf


def test_a_platform_that_the_base_does_not_have(
    tmp_path: Path, store: Path, shelf: Shelf, base: Path
) -> None:
    shelf.push(base, "team/base:1")
    made = project(tmp_path, store, on(shelf, "team/base:1", 'architecture = "arm64"'))
    address = shelf.server.address
    assert failed(made("lock")).strip().split("\n")[-2:] == [
        f"error: cannot use the base `oci:{address}/team/base:1`: it is not there for linux/arm64",
        "hint: it is there for linux/amd64: set `architecture`, or choose another base",
    ]


def test_a_base_whose_layer_is_not_what_it_says(
    tmp_path: Path, store: Path, shelf: Shelf, base: Path
) -> None:
    layout = copied(base, tmp_path / "lying")
    config = read(layout, manifest_of(layout)["config"])
    honest = config["rootfs"]["diff_ids"][0]
    lie = "sha256:" + "0" * 64
    config["rootfs"]["diff_ids"][0] = lie
    index(layout, altered(layout, config))
    shelf.push(layout, "team/lying:1", "--preserve-digests")
    made = project(tmp_path, store, on(shelf, "team/lying:1"))
    made("lock").check()
    said = failed(made("build"))
    assert f"it holds {honest}, and the image's configuration says {lie}" in said


def test_a_base_of_more_layers_than_engines_take(
    tmp_path: Path, store: Path, shelf: Shelf, base: Path
) -> None:
    layout = copied(base, tmp_path / "high")
    manifest = manifest_of(layout)
    config = read(layout, manifest["config"])
    for count, name in ((127, "full"), (128, "high")):
        config["rootfs"]["diff_ids"] = config["rootfs"]["diff_ids"][:1] * count
        index(layout, altered(layout, config, layers=manifest["layers"][:1] * count))
        shelf.push(layout, f"team/{name}:1", "--preserve-digests")
    made = project(tmp_path, store, on(shelf, "team/high:1"))
    assert "it has 128 layers, and container engines take 127" in failed(made("lock"))
    define(made, on(shelf, "team/full:1"))
    made("lock").check()
    said = failed(made("build"))
    assert "its base has 127 layers, and container engines take 127" in said


def test_a_blob_that_the_registry_lost(tmp_path: Path, shelf: Shelf, base: Path) -> None:
    layout = copied(base, tmp_path / "lost")
    config = read(layout, manifest_of(layout)["config"])
    index(layout, altered(layout, {**config, "author": str(tmp_path)}))
    shelf.push(layout, "team/lost:1", "--preserve-digests")
    made = project(tmp_path, tmp_path / "store", on(shelf, "team/lost:1"))
    made("lock").check()
    layer = manifest_of(layout)["layers"][0]["digest"]
    hexadecimal = layer.removeprefix("sha256:")
    shutil.rmtree(
        shelf.server.data / "docker/registry/v2/blobs/sha256" / hexadecimal[:2] / hexadecimal
    )
    try:
        said = failed(made("build"))
    finally:
        shelf.push(base, "team/base:1")
    assert layer in said
    assert "push it again or run `osloom lock --upgrade`" in said


def test_names_that_are_not_there(tmp_path: Path, store: Path, shelf: Shelf) -> None:
    made = project(tmp_path, store, on(shelf, "team/none:1"))
    assert f"cannot find {shelf.server.address}/team/none:1" in failed(made("lock"))
    define(made, on(shelf, "Team/none:1"))
    assert "did you mean `team/none`?" in failed(made("lock"))
    define(made, on(shelf, "team/none:1", 'configure = "dpkg"'))
    said = failed(made("lock"))
    assert said.startswith("osloom.toml:5:")
    assert "packages cannot be configured on a base image, and `app` has one" in said


def test_a_definition_that_changed_its_base_has_to_be_locked(
    tmp_path: Path, store: Path, shelf: Shelf, base: Path
) -> None:
    shelf.push(base, "team/base:1")
    made = project(tmp_path, store, on(shelf, "team/base:1"))
    made("lock").check()
    define(made, on(shelf, "team/base:2"))
    assert "the lock is older than the definition of `app`" in failed(made("build"))
