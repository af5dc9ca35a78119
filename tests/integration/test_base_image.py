"""Images that start from one of a registry: pushed by skopeo, made by umoci, read back by both."""

import json
import re
import tarfile
from pathlib import Path

import pytest

from integration.bases import (
    altered,
    blob,
    copied,
    define,
    failed,
    index,
    locked,
    manifest_of,
    names_in,
    on,
    project,
    put,
    read,
)
from integration.conftest import Workshop
from support.registry import Shelf

ON_TOP = """
[image.small]
from = "oci:{address}/team/base:1"
packages = ["netbase", "media-types"]
remove = ["/srv/gone"]
outputs = ["oci", "tar"]

[image.small.files]
"/srv/page" = {{ text = "of the image\\n" }}

[image.small.users.app]
uid = 1500

[image.small.oci]
compression = "gzip"
command = ["/bin/sh", "-c", "busybox id -un; pwd; echo $GREETING $PLACE; busybox cat page"]
env = {{ PLACE = "image" }}
labels = {{ two = "image" }}

[image.smaller]
from = "small"
outputs = ["oci"]
[image.smaller.oci]
user = "app"
"""


@pytest.fixture(scope="module")
def small(
    tmp_path_factory: pytest.TempPathFactory, store: Path, shelf: Shelf, base: Path
) -> Workshop:
    shelf.push(base, "team/base:1")
    workshop = Workshop(tmp_path_factory.mktemp("small"), store)
    define(workshop, ON_TOP.format(address=shelf.server.address))
    for command in ("lock", "build"):
        workshop(command).check()
    return workshop


def test_the_layers_of_the_base_are_untouched(shelf: Shelf, small: Workshop, base: Path) -> None:
    below = shelf.inspect("team/base:1")["layers"]
    assert len(below) >= 2
    layout = small.directory / "dist/small/small.oci"
    made = manifest_of(layout)
    assert made["layers"][: len(below)] == below
    for one in below:
        assert blob(layout, one) == blob(base, one)
    config = read(layout, made["config"])
    assert len(config["rootfs"]["diff_ids"]) == len(made["layers"])
    history = read(base, manifest_of(base)["config"])["history"]
    assert config["history"][: len(history)] == history
    # Of what the base holds nothing is sent again, though a package of the image holds it too.
    own = {name for one in made["layers"][len(below) :] for name in names_in(blob(layout, one))}
    assert {"srv/page", "srv/.wh.gone", "etc/mime.types", "etc/passwd"} <= own
    assert not own & {"etc/protocols", "usr/bin/busybox"}
    annotations = made["annotations"]
    assert annotations["org.opencontainers.image.base.name"].endswith("/team/base:1")


def test_skopeo_and_umoci_read_it(tmp_path: Path, shelf: Shelf, small: Workshop) -> None:
    layout = small.directory / "dist/small/small.oci"
    shelf.push(layout, "team/small:1", "--preserve-digests")
    assert shelf.inspect("team/small:1") == manifest_of(layout)
    config = json.loads(shelf.skopeo("inspect", "--config", f"oci:{layout}"))["config"]
    assert config["User"] == "web"
    assert config["WorkingDir"] == "/srv"
    assert config["Labels"] == {
        "one": "base",
        "two": "image",
        "org.opencontainers.image.title": "small",
        "org.opencontainers.image.version": "0",
    }
    assert {"GREETING=good day", "PLACE=image"} <= set(config["Env"])
    bundle = tmp_path / "bundle"
    shelf.umoci("unpack", "--rootless", "--image", f"{layout}:0", bundle)
    root = bundle / "rootfs"
    assert (root / "srv/page").read_text() == "of the image\n"
    assert not (root / "srv/gone").exists()
    assert (root / "etc/mime.types").exists()
    assert (root / "usr/bin/busybox").exists()
    accounts = (root / "etc/passwd").read_text().splitlines()
    assert accounts[:2] == ["root:x:0:0:root:/root:/bin/sh", "web:x:33:33::/srv:/bin/sh"]
    assert [line for line in accounts if line.startswith("app:x:1500:1500:")] == accounts[2:]


def test_the_tree_of_other_outputs_is_the_same(small: Workshop) -> None:
    with tarfile.open(small.directory / "dist/small/small.tar") as archive:
        names = set(archive.getnames())
        page = archive.extractfile("srv/page")
        assert page is not None
        assert page.read() == b"of the image\n"
    assert {"etc/mime.types", "usr/bin/busybox", "etc/protocols"} <= names
    assert not any(name.startswith("srv/gone") or "/.wh." in name for name in names)


def test_it_runs_with_what_it_inherited(small: Workshop) -> None:
    done = small("run", "small").check()
    assert done.stdout == "web\n/srv\ngood day image\nof the image\n"
    assert small("run", "smaller").check().stdout.startswith("app\n")


def test_a_second_build_and_a_second_lock_do_nothing(small: Workshop, shelf: Shelf) -> None:
    before = (small.directory / "osloom.lock").read_bytes()
    count = len(shelf.server.requests())
    assert all(one["reused"] for one in small("build", "--json").check().json)
    assert "up to date" in small("lock").check().stdout
    assert shelf.server.since(count) == []
    assert (small.directory / "osloom.lock").read_bytes() == before


def test_a_tag_that_moved_is_told_and_taken_when_asked(
    tmp_path: Path, store: Path, shelf: Shelf, base: Path, small: Workshop
) -> None:
    shelf.push(base, "team/moving:1")
    made = project(tmp_path, store, on(shelf, "team/moving:1", 'hostname = "app"'))
    made("lock").check()
    (first,) = locked(made)["bases"]
    assert "newest" in made("outdated").check().stdout
    shelf.push(small.directory / "dist/small/small.oci", "team/moving:1", "--preserve-digests")
    (told,) = made("outdated", "--json").check().json
    newest = manifest_digest(small.directory / "dist/small/small.oci")
    assert told == {
        "image": "app",
        "package": f"oci:{shelf.server.address}/team/moving:1",
        "locked": first["manifest"],
        "available": newest,
        "repository": shelf.server.address,
    }
    assert newest[:19] in made("outdated").check().stdout
    assert "up to date" in made("lock").check().stdout
    assert locked(made)["bases"] == [first]
    made("build").check()
    reference = f"oci:{shelf.server.address}/team/moving:1"
    assert "1 new, 1 gone" in made("lock", "--upgrade-package", reference).check().stdout
    (second,) = locked(made)["bases"]
    assert second["manifest"] == newest
    assert made("outdated", "--json").check().json == []
    made("build").check()


def manifest_digest(layout: Path) -> str:
    (entry,) = json.loads((layout / "index.json").read_text())["manifests"]
    return str(entry["digest"])


def test_a_list_of_platforms(tmp_path: Path, store: Path, shelf: Shelf, base: Path) -> None:
    layout = copied(base, tmp_path / "both")
    config = read(layout, manifest_of(layout)["config"])
    (plain,) = json.loads((layout / "index.json").read_text())["manifests"]
    arm = altered(layout, {**config, "architecture": "arm64", "variant": "v8"})
    listed = {
        "mediaType": "application/vnd.oci.image.index.v1+json",
        **put(
            layout,
            {
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.index.v1+json",
                "manifests": [
                    {**arm, "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}},
                    {**plain, "platform": {"os": "linux", "architecture": "amd64"}},
                ],
            },
        ),
    }
    index(layout, listed)
    shelf.push(layout, "team/both:1", "--all")
    text = on(shelf, "team/both:1", 'hostname = "app"')
    text += text.replace("image.app", "image.other") + 'architecture = "arm64"\n'
    text += text.partition("[image.other]")[0].replace("image.app", "image.every")
    made = project(tmp_path, store, text + 'architectures = ["amd64", "arm64"]\n')
    made("lock").check()
    found = {one["architecture"]: one for one in locked(made)["bases"]}
    assert found["amd64"]["manifest"] == plain["digest"]
    assert found["arm64"]["manifest"] == arm["digest"]
    assert {one["index"] for one in found.values()} == {listed["digest"]}
    made("build").check()
    other = made.directory / "dist/other/other.oci"
    assert read(other, manifest_of(other)["config"])["variant"] == "v8"
    every = made.directory / "dist/every/every.oci"
    own = {"amd64": made.directory / "dist/app/app.oci", "arm64": other}
    for one in manifest_of(every)["manifests"]:
        single = own.pop(one["platform"]["architecture"])
        below = manifest_of(single)["layers"][:-1]
        assert read(every, one)["layers"][: len(below)] == below
    assert not own
    assert made("run", "every", "--", "/bin/sh", "-c", "pwd").check().stdout == "/srv\n"


DEBIAN = """
[image.base]
packages = ["dash", "coreutils"]
configure = "none"
outputs = ["oci"]
[image.base.oci]
tag = "1"
"""


def test_programs_on_a_base_of_the_same_suite_bring_only_what_is_new(
    tmp_path: Path, store: Path, shelf: Shelf
) -> None:
    base = project(tmp_path / "base", store, DEBIAN)
    base("lock").check()
    base("build").check()
    shelf.push(base.directory / "dist/base/base.oci", "team/debian:1", "--preserve-digests")
    made = project(
        tmp_path,
        store,
        on(
            shelf,
            "team/debian:1",
            'packages = ["grep"]\nscript = [{ run = "echo made >/etc/made" }]\n',
        )
        + '[image.app.oci]\ncompression = "gzip"\n',
    )
    made("lock").check()
    made("build").check()
    layout = made.directory / "dist/app/app.oci"
    below = shelf.inspect("team/debian:1")["layers"]
    layers = manifest_of(layout)["layers"]
    assert layers[: len(below)] == below
    own = {name for one in layers[len(below) :] for name in names_in(blob(layout, one))}
    assert {"usr/bin/grep", "etc/made"} <= own
    assert not any("libc.so.6" in name or name == "usr/bin/cat" for name in own)
    done = made("run", "app", "--", "-c", "cat /etc/made | grep -o ma").check()
    assert done.stdout == "ma\n"
    assert made("verify").check().stdout == "app/app.oci: identical\n"


def test_a_layout_beside_the_definition_needs_no_registry(
    tmp_path: Path, store: Path, shelf: Shelf, base: Path
) -> None:
    made = project(tmp_path, store, on(shelf, "none").replace("oci:", "oci-layout:vendor/#"))
    text = (made.directory / "osloom.toml").read_text()
    define(made, re.sub(r"vendor/#\S+", 'vendor/base"', text) + 'hostname = "app"\n')
    layout = copied(base, made.directory / "vendor/base")
    made("lock").check()
    made("build").check()
    layers = manifest_of(made.directory / "dist/app/app.oci")["layers"]
    below = manifest_of(base)["layers"]
    assert layers[:-1] == below
    config = read(layout, manifest_of(layout)["config"])
    index(layout, altered(layout, {**config, "author": "another"}))
    (told,) = made("outdated", "--json").check().json
    assert (told["package"], told["repository"]) == ("oci-layout:vendor/base", "vendor/base")
    made("lock", "--upgrade").check()
    empty = Workshop(made.directory, tmp_path / "store")
    (layout / "blobs" / below[0]["digest"].replace(":", "/")).write_text("rubbish")
    said = failed(empty("build"))
    assert f"its blob {below[0]['digest']} has the digest sha256:" in said
