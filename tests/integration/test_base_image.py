"""Images that start from one of a registry: pushed by skopeo, made by umoci, read back by both."""

import hashlib
import io
import json
import os
import re
import shutil
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from integration.conftest import Workshop
from support.cli import Done
from support.layer import archive, diff_id, directory, hard_link, member, packed, symlink
from support.programs import Programs
from support.registry import Server, running

BASE = """
[image.base]
packages = ["busybox-static", "netbase"]
configure = "none"
outputs = ["oci"]

[image.base.files]
"/bin/sh" = { link = "busybox" }
"/etc/passwd" = { text = "root:x:0:0:root:/root:/bin/sh\\nweb:x:33:33::/srv:/bin/sh\\n" }
"/etc/group" = { text = "root:x:0:\\nweb:x:33:\\n" }
"/srv/page" = { text = "of the base\\n" }
"/srv/gone/too" = { text = "" }

[image.base.oci]
compression = "gzip"
command = ["/bin/sh", "-c", "echo of the base"]
env = { GREETING = "good day", PLACE = "base" }
user = "web"
working-directory = "/srv"
labels = { one = "base", two = "base" }
tag = "1"
"""

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


@dataclass(frozen=True)
class Shelf:
    """A registry, and the programs that fill and read it."""

    server: Server
    programs: Programs

    def push(self, layout: Path, name: str, *options: str) -> None:
        self.skopeo(
            "copy",
            *options,
            "--dest-tls-verify=false",
            f"oci:{layout}",
            f"docker://{self.server.address}/{name}",
        )

    def skopeo(self, *words: str) -> str:
        return self.programs("usr/bin/skopeo", "--insecure-policy", *words)

    def inspect(self, name: str) -> Any:
        words = ("inspect", "--raw", "--tls-verify=false")
        return json.loads(self.skopeo(*words, f"docker://{self.server.address}/{name}"))

    def umoci(self, *words: str | Path) -> None:
        self.programs("usr/bin/umoci", *words)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Iterator[Shelf]:
    programs = Programs(
        tmp_path_factory.mktemp("programs"), store, "docker-registry", "skopeo", "umoci"
    )
    with running(programs.root, tmp_path_factory.mktemp("registry")) as server:
        yield Shelf(server, programs)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Path:
    """The layout of a base that osloom itself made, of several layers."""
    workshop = Workshop(tmp_path_factory.mktemp("base"), store)
    (workshop.directory / "osloom.toml").write_text(BASE)
    for command in ("lock", "build"):
        workshop(command).check()
    return workshop.directory / "dist/base/base.oci"


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


def define(workshop: Workshop, text: str) -> None:
    (workshop.directory / "osloom.toml").write_text(text)


def locked(workshop: Workshop) -> Any:
    return json.loads((workshop.directory / "osloom.lock").read_text())


def manifest_of(layout: Path) -> Any:
    (entry,) = json.loads((layout / "index.json").read_text())["manifests"]
    return read(layout, entry)


def read(layout: Path, descriptor: Any) -> Any:
    return json.loads(blob(layout, descriptor))


def blob(layout: Path, descriptor: Any) -> bytes:
    data = (layout / "blobs" / descriptor["digest"].replace(":", "/")).read_bytes()
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert (digest, len(data)) == (descriptor["digest"], descriptor["size"])
    return data


def names_in(layer: bytes) -> set[str]:
    with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
        return set(archive.getnames())


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


def project(tmp_path: Path, store: Path, text: str) -> Workshop:
    workshop = Workshop(tmp_path / "project", store)
    workshop.directory.mkdir(parents=True)
    define(workshop, text)
    return workshop


def on(shelf: Shelf, name: str, more: str = "") -> str:
    """A definition of one image, `app`, on an image of the registry."""
    return f"""
[image.app]
from = "oci:{shelf.server.address}/{name}"
outputs = ["oci"]
{more}
"""


Found = dict[str, tuple[int, int, str]]
"""Kind and mode, time, and content or target, by path."""


def unpacked(root: Path) -> Found:
    found: Found = {}
    for path in root.rglob("*"):
        info = path.lstat()
        said = os.readlink(path) if path.is_symlink() else ""  # noqa: PTH115
        if path.is_file() and not said:
            said = hashlib.sha256(path.read_bytes()).hexdigest()
        found[path.relative_to(root).as_posix()] = (info.st_mode, int(info.st_mtime), said)
    return found


def archived(path: Path) -> Found:
    kinds = {
        tarfile.REGTYPE: stat.S_IFREG,
        tarfile.LNKTYPE: stat.S_IFREG,
        tarfile.DIRTYPE: stat.S_IFDIR,
        tarfile.SYMTYPE: stat.S_IFLNK,
    }
    found: Found = {}
    with tarfile.open(path) as archive:
        for one in archive:
            first = archive.getmember(one.linkname) if one.islnk() else one
            content = archive.extractfile(first) if first.isreg() else None
            said = hashlib.sha256(content.read()).hexdigest() if content else one.linkname
            found[one.name] = (kinds[one.type] | first.mode, int(first.mtime), said)
    return found


def test_what_umoci_makes_of_a_layer_with_whiteouts(
    tmp_path: Path, store: Path, shelf: Shelf, base: Path
) -> None:
    copy, bundle = tmp_path / "copy", tmp_path / "bundle"
    shelf.skopeo("copy", f"oci:{base}", f"oci:{copy}:1")
    shelf.umoci("unpack", "--rootless", "--image", f"{copy}:1", bundle)
    root = bundle / "rootfs"
    (root / "srv/page").unlink()
    (root / "srv/gone/too").unlink()
    (root / "srv/gone").rmdir()
    (root / "srv/new").write_text("new\n")
    (root / "srv/linked").hardlink_to(root / "srv/new")
    (root / "srv/protocols").hardlink_to(root / "etc/protocols")
    shelf.umoci("repack", "--image", f"{copy}:2", bundle)
    shelf.skopeo(
        "copy",
        "--dest-tls-verify=false",
        f"oci:{copy}:2",
        f"docker://{shelf.server.address}/team/changed:2",
    )
    text = on(shelf, "team/changed:2", 'files = { "/srv/own" = { text = "own\\n" } }')
    text += 'remove = ["/srv/new"]\noci = { compression = "gzip" }\n'
    made = project(tmp_path, store, text)
    made("lock").check()
    made("build", "--format", "oci", "--format", "tar").check()
    again = tmp_path / "again"
    shelf.umoci("unpack", "--rootless", "--image", f"{made.directory}/dist/app/app.oci:0", again)
    # What umoci makes of all layers is what osloom made of the base's and put into an archive.
    assert unpacked(again / "rootfs") == archived(made.directory / "dist/app/app.tar")
    script = "cd /srv; busybox ls; busybox cat linked own; busybox head -n 1 protocols"
    done = made("run", "app", "--", "/bin/sh", "-c", script).check()
    said = "linked\nown\nprotocols\nnew\nown\n# Internet (IP) protocols\n"
    assert done.stdout == said


def test_a_base_in_docker_s_own_format(
    tmp_path: Path, store: Path, shelf: Shelf, base: Path
) -> None:
    shelf.push(base, "team/docker:1", "--format=v2s2")
    below = shelf.inspect("team/docker:1")
    assert below["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
    made = project(tmp_path, store, on(shelf, "team/docker:1", 'hostname = "app"'))
    made("lock").check()
    made("build").check()
    layout = made.directory / "dist/app/app.oci"
    layers = manifest_of(layout)["layers"]
    ours = [
        {**one, "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip"}
        for one in below["layers"]
    ]
    assert layers[:-1] == ours
    shelf.push(layout, "team/on-docker:1", "--preserve-digests")


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


def failed(done: Done) -> str:
    """The message of a command that failed."""
    assert done.status in (1, 2), done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def copied(base: Path, place: Path) -> Path:
    return Path(shutil.copytree(base, place))


def put(layout: Path, value: Any) -> dict[str, Any]:
    """Adds a document to a layout."""
    data = json.dumps(value).encode()
    digest = hashlib.sha256(data).hexdigest()
    (layout / "blobs/sha256" / digest).write_bytes(data)
    return {"digest": f"sha256:{digest}", "size": len(data)}


def index(layout: Path, *manifests: dict[str, Any]) -> None:
    text = json.dumps({"schemaVersion": 2, "manifests": list(manifests)})
    (layout / "index.json").write_text(text)


def altered(layout: Path, config: Any, **fields: Any) -> dict[str, Any]:
    """The manifest of a layout with another configuration, as a descriptor."""
    manifest = manifest_of(layout)
    manifest |= fields
    manifest["config"] = {**manifest["config"], **put(layout, config)}
    return {"mediaType": manifest["mediaType"], **put(layout, manifest)}


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


def test_a_platform_that_the_base_does_not_have(
    tmp_path: Path, store: Path, shelf: Shelf, base: Path
) -> None:
    shelf.push(base, "team/base:1")
    made = project(tmp_path, store, on(shelf, "team/base:1", 'architecture = "arm64"'))
    address = shelf.server.address
    assert failed(made("lock")).strip().split("\n") == [
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


def stacked(layout: Path, *layers: bytes) -> None:
    """A layout of an image with these layers, all compressed in different ways."""
    (layout / "blobs/sha256").mkdir(parents=True)
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    described = []
    for number, layer in enumerate(layers):
        method, suffix = (("gzip", "+gzip"), ("none", ""))[number % 2]
        data = packed(layer, method)
        digest = diff_id(data)
        (layout / "blobs" / digest.replace(":", "/")).write_bytes(data)
        kind = f"application/vnd.oci.image.layer.v1.tar{suffix}"
        described.append({"mediaType": kind, "digest": digest, "size": len(data)})
    config = {
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [diff_id(layer) for layer in layers]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **put(layout, config)},
        "layers": described,
    }
    named = {"org.opencontainers.image.ref.name": "1"}
    index(
        layout, {"mediaType": manifest["mediaType"], **put(layout, manifest), "annotations": named}
    )


def test_umoci_applies_layers_as_osloom_does(tmp_path: Path, store: Path, shelf: Shelf) -> None:
    lowest = archive(
        *[(directory(name), None) for name in ("a", "a/deep", "d", "e", "etc", "usr", "usr/lib")],
        (member("a/gone", b"1"), b"1"),
        (member("a/deep/gone", b"2"), b"2"),
        (member("d/gone", b"3"), b"3"),
        (member("e/gone", b"4"), b"4"),
        (member("etc/first", b"5", mode=0o4755), b"5"),
        (hard_link("etc/second", "etc/first"), None),
        (symlink("lib", "usr/lib"), None),
        (member("usr/lib/gone", b"6"), b"6"),
        (symlink("up", "../../etc"), None),
    )
    middle = archive(
        (directory("a", 0o700), None),
        (member("a/.wh..wh..opq", b""), b""),
        (member("a/kept", b"7"), b"7"),
        (member("d", b"8"), b"8"),
        (member(".wh.e", b""), b""),
        (hard_link("etc/third", "etc/first"), None),
        (member("lib/new", b"9"), b"9"),
        (member("lib/.wh.gone", b""), b""),
        (member("up/fourth", b"10"), b"10"),
    )
    highest = archive(
        (member("etc/.wh.first", b""), b""),
        (directory("d"), None),
        (member("d/inside", b"11"), b"11"),
    )
    made = project(tmp_path, store, '[image.app]\nfrom = "oci-layout:base"\noutputs = ["tar"]\n')
    stacked(made.directory / "base", lowest, middle, highest)
    made("lock").check()
    made("build").check()
    bundle = tmp_path / "bundle"
    shelf.umoci("unpack", "--rootless", "--image", f"{made.directory}/base:1", bundle)
    found = archived(made.directory / "dist/app/app.tar")
    assert without_times(found) == without_times(unpacked(bundle / "rootfs"))
    assert {"a/kept", "d/inside", "etc/third", "etc/fourth", "usr/lib/new"} <= found.keys()
    assert not [path for path in found if "gone" in path or "first" in path or ".wh." in path]


def without_times(found: Found) -> dict[str, tuple[int, str]]:
    """umoci gives a directory the time in which something in it changed."""
    return {path: (mode, said) for path, (mode, _, said) in found.items()}
